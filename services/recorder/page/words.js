// Every word of the page, in English and Ukrainian. A key that is missing in one of them is a fault.

const ENGLISH = {
  title: "Recordings", skip: "Skip to the recordings", otherLanguage: "Українська", logout: "Sign out",
  find: "Find", from: "From", until: "Until", queue: "Queue", agent: "Agent", caller: "Number", callerHint: "or its last digits",
  withSilent: "Also silent ones", clear: "Clear", when: "When", length: "Length", more: "Show more", none: "No recordings found.",
  company: "Company", loading: "Loading …", failed: "This did not work: {reason}", refused: "Your access has ended. Sign in again.",
  silent: "silent", repaired: "repaired", held: "legal hold", withheld: "withheld", customer: "Customer", agentVoice: "Agent",
  play: "Play", pause: "Pause", back: "10 seconds back", forward: "10 seconds forward", speed: "Speed", volume: "Both voices",
  position: "Position in the recording", wave: "The sound: {customer} above, {agent} below",
  transcript: "What was said", noTranscript: "Nothing was written down yet.", follow: "Follow the sound",
  download: "Download", share: "Share a part", partFrom: "from", partTo: "to", hours: "for hours", makeLink: "Make the link",
  setFrom: "Begin here", setTo: "End here", shareMade: "Whoever has this address hears {length}, until {time}:", copy: "Copy", copied: "Copied",
  sharedNow: "Shared now", sharedPart: "{from} to {to}, until {time}, by {actor}", endShare: "End",
  whoListened: "Who listened", times: "{count} ×", nobody: "Nobody yet.", hold: "Put under legal hold", release: "End the legal hold",
  said: "Was said", feeling: "Customer's mood", anyFeeling: "any", feelingBad: "unhappy", feelingBadAtEnd: "unhappy at the end", feelingWorse: "worse and worse", feelingBetter: "better and better", feelingGood: "happy",
  sounded: "{name} sounded {score} on a scale from −1 to 1: {thirds}.", firstThird: "at first", middleThird: "then", lastThird: "at last", foundBy: "At {time}, found by: {words}",
  choose: "Choose a recording to hear it.", keys: "Space plays, ← and → jump 10 seconds, ↑ and ↓ choose, , and . change the speed.",
  listened: "listened", downloaded: "downloaded", linked: "took a link", read: "read", found: "found by a word", exported: "exported", shared: "shared", unshared: "ended a share", holding: "put under legal hold", released: "ended the legal hold",
  sharedTitle: "A part of a recorded call", sharedGone: "This part is not shared, or not any more.", expires: "This address works until {time}.",
};

const UKRAINIAN = {
  title: "Записи", skip: "Перейти до записів", otherLanguage: "English", logout: "Вийти",
  find: "Знайти", from: "Від", until: "До", queue: "Черга", agent: "Оператор", caller: "Номер", callerHint: "чи його кінець",
  withSilent: "Також беззвучні", clear: "Очистити", when: "Коли", length: "Тривалість", more: "Показати ще", none: "Записів не знайдено.",
  company: "Компанія", loading: "Завантаження …", failed: "Не вдалося: {reason}", refused: "Доступ завершено. Увійдіть знову.",
  silent: "без звуку", repaired: "відновлено", held: "без видалення", withheld: "приховано", customer: "Клієнт", agentVoice: "Оператор",
  play: "Слухати", pause: "Пауза", back: "10 секунд назад", forward: "10 секунд уперед", speed: "Швидкість", volume: "Обидва голоси",
  position: "Місце в записі", wave: "Звук: {customer} угорі, {agent} унизу",
  transcript: "Що було сказано", noTranscript: "Ще нічого не записано текстом.", follow: "Стежити за звуком",
  download: "Завантажити", share: "Поділитися частиною", partFrom: "від", partTo: "до", hours: "на годин", makeLink: "Створити посилання",
  setFrom: "Початок тут", setTo: "Кінець тут", shareMade: "Хто має цю адресу, чує {length}, до {time}:", copy: "Копіювати", copied: "Скопійовано",
  sharedNow: "Доступно зараз", sharedPart: "{from}–{to}, до {time}, поділився {actor}", endShare: "Закрити доступ",
  whoListened: "Хто слухав", times: "{count} ×", nobody: "Ще ніхто.", hold: "Заборонити видалення", release: "Дозволити видалення",
  said: "Було сказано", feeling: "Настрій клієнта", anyFeeling: "будь-який", feelingBad: "незадоволений", feelingBadAtEnd: "незадоволений наприкінці", feelingWorse: "дедалі гірший", feelingBetter: "дедалі кращий", feelingGood: "задоволений",
  sounded: "{name}: {score} за шкалою від −1 до 1: {thirds}.", firstThird: "спочатку", middleThird: "потім", lastThird: "наприкінці", foundBy: "На {time}, за словами: {words}",
  choose: "Оберіть запис, щоб почути його.", keys: "Пробіл — слухати, ← та → — на 10 секунд, ↑ та ↓ — обрати, , та . — швидкість.",
  listened: "слухав", downloaded: "завантажив", linked: "узяв посилання", read: "читав", found: "знайшов за словом", exported: "вивантажив", shared: "поділився", unshared: "закрив доступ", holding: "заборонив видалення", released: "дозволив видалення",
  sharedTitle: "Частина записаної розмови", sharedGone: "Цією частиною не діляться або вже не діляться.", expires: "Ця адреса діє до {time}.",
};

export const language = document.documentElement.lang === "uk" ? "uk" : "en";
const words = language === "uk" ? UKRAINIAN : ENGLISH;

/** Return a text with its places filled. */
export function say(key, places = {}) {
  return words[key].replace(/\{(\w+)\}/g, (whole, name) => places[name] ?? whole);
}

/** Write every text of the page. */
export function writeWords(root = document) {
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const element of root.querySelectorAll("[data-label]")) element.setAttribute("aria-label", say(element.dataset.label));
  for (const element of root.querySelectorAll("[data-label]")) element.title = say(element.dataset.label);
}

/** 75,000 → 1:15; an hour and more → 1:02:03. */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  return `${hours ? `${hours}:${two(Math.floor(seconds / 60) % 60)}` : Math.floor(seconds / 60)}:${two(seconds % 60)}`;
}

/** Day before month, and 24 hours, as on the company's other pages: 11/12 would be two days. */
const moments = new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, { dateStyle: "medium", timeStyle: "short" });
export const moment = (iso) => moments.format(new Date(iso));
