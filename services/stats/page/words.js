// Every word of the page, in English and Ukrainian. A key that is missing in one of them is a fault.

const ENGLISH = {
  skip: "Skip to the queues", overview: "Overview", waiting: "Waiting", longest: "Longest wait",
  level: "Service level, 15 min", levelShort: "Service level", meanWaitShort: "Mean wait", levelToday: "Today", today: "Today", agents: "Agents", freeNow: "free",
  onCall: "on a call", present: "at work", callsToday: "Calls today", inProgress: "in progress",
  meanWait: "Mean wait, 15 min", meanTalk: "Mean talk, 15 min", queues: "Queues", queue: "Queue",
  answeredToday: "Answered", abandonedToday: "Abandoned", freeAgents: "Free", noQueues: "No queues yet.",
  dayChart: "Calls of the day", noCalls: "No calls today yet.", noAgents: "No agents yet.", logout: "Sign out",
  answered: "Answered", abandoned: "Abandoned", other: "Other", levelLine: "Service level", company: "Company",
  wallOn: "Wall", wallOff: "Leave the wall", otherLanguage: "Українська", token: "Access token",
  signIn: "Sign in", unknownToken: "This token is not known here.", live: "Live", connecting: "Connecting …",
  stale: "Stale: no contact since {time}. Numbers are of then.", refused: "Your access has ended. Sign in again.",
  forbidden: "This token may not see live numbers.", busy: "Too many screens are open. Trying again …",
  catching_up: "The numbers are being rebuilt from the log and are not whole yet.",
  switch_gap: "Facts of switch {node} may be missing from {from} to {until}: numbers may be too low.",
  switch_away: "Switch {node} has been out of contact since {from}: its calls go on, numbers may be out of date.",
  late_events: "Some facts came too late or were too many to be counted today.",
  lastEvent: "Last event {time}", noEvent: "No event yet",
  formula: "Service level {variant} = {formula}. A answered, B abandoned, T within the queue’s threshold.",
  threshold: "within {seconds} s", of: "{part} / {whole}", waitingTrend: "Waiting callers over the last hour, at most {most}",
  perQuarter: "Calls by quarter hour: {answered} answered, {abandoned} abandoned, {other} other", none: "none",
  state_offline: "Offline", state_idle: "Free", state_reserved: "Reserved", state_ringing: "Ringing",
  state_talking: "Talking", state_holding: "On hold", state_wrap_up: "Wrap-up", state_unreachable: "Unreachable",
  state_away: "Away", state_unspecified: "Unknown", goal: "goal {goal}",
};

const UKRAINIAN = {
  skip: "Перейти до черг", overview: "Огляд", waiting: "Чекають", longest: "Найдовше чекання",
  level: "Рівень сервісу, 15 хв", levelShort: "Рівень сервісу", meanWaitShort: "Середнє чекання", levelToday: "За день", today: "За день", agents: "Оператори", freeNow: "вільні",
  onCall: "розмовляють", present: "на роботі", callsToday: "Дзвінки за день", inProgress: "тривають",
  meanWait: "Середнє чекання, 15 хв", meanTalk: "Середня розмова, 15 хв", queues: "Черги", queue: "Черга",
  answeredToday: "Прийняті", abandonedToday: "Втрачені", freeAgents: "Вільні", noQueues: "Черг ще немає.",
  dayChart: "Дзвінки протягом дня", noCalls: "Сьогодні дзвінків ще не було.", noAgents: "Операторів ще немає.",
  logout: "Вийти", answered: "Прийняті", abandoned: "Втрачені", other: "Інші", levelLine: "Рівень сервісу",
  company: "Компанія", wallOn: "На стіну", wallOff: "Звичайний вигляд", otherLanguage: "English",
  token: "Ключ доступу", signIn: "Увійти", unknownToken: "Такого ключа тут не знають.", live: "Наживо",
  connecting: "З’єднання …", stale: "Застаріло: зв’язку немає з {time}. Числа — на той час.",
  refused: "Доступ завершено. Увійдіть знову.", forbidden: "Цей ключ не дає права бачити живі числа.",
  busy: "Відкрито забагато екранів. Пробуємо ще раз …",
  catching_up: "Числа відновлюються з журналу й ще не повні.",
  switch_gap: "Факти вузла {node} з {from} до {until} можуть бути втрачені: числа можуть бути занижені.",
  switch_away: "З вузлом {node} немає зв’язку з {from}: дзвінки тривають, числа можуть відставати.",
  late_events: "Деякі факти надійшли запізно, або їх було забагато, щоб порахувати сьогодні.",
  lastEvent: "Остання подія {time}", noEvent: "Подій ще не було",
  formula: "Рівень сервісу {variant} = {formula}. A — прийняті, B — втрачені, T — у межах норми черги.",
  threshold: "норма {seconds} с", of: "{part} / {whole}", waitingTrend: "Ті, хто чекав, за останню годину: найбільше {most}",
  perQuarter: "Дзвінки за чверть години: прийняті {answered}, втрачені {abandoned}, інші {other}", none: "немає",
  state_offline: "Не на зв’язку", state_idle: "Вільний", state_reserved: "Обраний", state_ringing: "Дзвонить",
  state_talking: "Розмовляє", state_holding: "На утриманні", state_wrap_up: "Опрацювання",
  state_unreachable: "Недосяжний", state_away: "Відійшов", state_unspecified: "Невідомо", goal: "ціль {goal}",
};

export const language = document.documentElement.lang === "uk" ? "uk" : "en";
const words = language === "uk" ? UKRAINIAN : ENGLISH;

/** Return a word, its {places} filled. */
export function say(key, places = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => String(places[name] ?? ""));
}

/** Write the words of every element that names one. */
export function writeWords() {
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
}

const numbers = new Intl.NumberFormat(language);
const percents = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 });

export const count = (value) => numbers.format(value);
export const percent = (ratio) => (ratio === null || ratio === undefined ? "–" : percents.format(ratio));

/** Return a duration as m:ss, or h:mm:ss. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** Return a moment as the clock of a time zone shows it. */
export function clockTime(ms, timeZone, withSeconds = false) {
  const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone };
  if (withSeconds) options.second = "2-digit";
  try {
    return new Intl.DateTimeFormat(language, options).format(ms);
  } catch {
    return new Intl.DateTimeFormat(language, { ...options, timeZone: "UTC" }).format(ms);
  }
}
