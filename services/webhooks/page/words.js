// Every word of the page, in English and Ukrainian. A key that is missing in one of them is a fault.

const ENGLISH = {
  skip: "Skip to the log", title: "Webhooks", overview: "Overview", logout: "Sign out", otherLanguage: "Українська",
  company: "Company",
  live: "Live", connecting: "Connecting …", away: "No contact: trying again …", refused: "Your access has ended. Sign in again.",
  forbidden: "This token may not see webhooks.", success: "Success", ofTries: "of all tries", delivered: "Delivered",
  failedTries: "failed tries", answerTime: "Time to answer", p50: "median", p99: "99 of 100 within", dead: "Given up",
  deadMeans: "replay or redeliver them", chart: "Tries and times to answer", hour: "1 hour", sixHours: "6 hours", day: "24 hours",
  endpoints: "Endpoints", noEndpoints: "This company’s document has no endpoints.", endpoint: "Endpoint", state: "State",
  type: "Event", call: "Call", search: "Search", clear: "Clear", time: "Time", tries: "Tries", error: "Trouble",
  noRows: "Nothing was sent that fits.", more: "Older ones", log: "Deliveries", all: "all", close: "Close", body: "What was sent",
  copy: "Copy", copied: "Copied.", copyByHand: "It is marked: copy it with your keyboard.", verifyIt: "How to verify what is signed with it",
  kindLine: "{kind} channel", waitLine: "waits > {seconds} s, {queue}",
  redeliver: "Send again", redelivered: "It is on its way again, under the same id.", details: "Details", ping: "Ping",
  example: "Example", isExample: "example", sendExample: "Send it", exampleSent: "On its way as {id}: look below.",
  exampleMeans: "An event that never happened, signed like any other. Its ids begin with example-, it has the header webhook-example and, where there is no template, the field example: a receiver can tell.",
  pinged: "The ping is on its way: look below.", open: "Open again", replay: "Replay", newSecret: "New secret",
  replayMeans: "Events of a time are sent once more, under the ids that they had. The receiver knows them by that.",
  since: "From", until: "Until", replayed: "It begins.", failedOnly: "Only what was given up", replayLine: "{time}: {state}, {count} sent",
  secretMeans: "The former secret signs beside the new one for a day. The new one is shown once, here, and never again.",
  secretShown: "Copy it now. The former one signs until {time}.", makeSecret: "Make it", masked: "Personal data is masked.",
  full: "As it was sent.", none: "Bodies are not shown here.", tryLine: "{time} · {status} · {ms} ms", noAnswer: "no answer",
  url: "Address", id: "webhook-id", failed: "That failed: {why}", triesLabel: "{delivered} delivered, {failed} failed tries",
  timesLabel: "Median and 99 of 100 answers, at most {most} ms", failingSince: "Failing since {time}",
  advice: "What helps", nothingYet: "Nothing was sent in this time.",
  feedAlone: "Each event is copied into its topic at once. What is counted here is only what had to wait.", figures: "success {success} · {delivered} delivered, {failed} failed tries · median {p50}",
  rules: "Rules", noRules: "This company’s document has no rules that are switched on.", draftRule: "Try a new rule", rehearse: "Try on the past",
  newRule: "New rule", change: "Change", newEndpoint: "New endpoint", save: "Save", check: "Check", takeOut: "Take it out",
  reallyTakeOut: "Really take it out?", takeAway: "Remove this", asJson: "As JSON", switchedOn: "Switched on",
  ruleId: "Id", ruleName: "Name", trigger: "When", events: "Events, with commas between", times: "How often", withinSeconds: "Within seconds",
  per: "Counted for each", per_tenant: "company", per_caller: "caller", per_agent: "agent", per_queue: "queue", per_line: "line",
  waitsSeconds: "Waits longer than, seconds", queue: "Queue", everyQueue: "all", schedule: "Schedule", always: "always",
  measure: "Measure", measure_service_level: "service level, %", measure_abandon_rate: "abandoned, %", measure_average_wait: "average wait, s",
  norm: "Norm", atLeast: "at least", atMost: "at most", overSeconds: "Over seconds", condition: "Condition (CEL)",
  actions: "Then", addAction: "One more", to: "To", subject: "Subject", text: "Text",
  placesMean: "Places like {caller}, {line}, {queue}, {agent}, {time}, {count} are filled in.",
  endpointId: "Id", secretRef: "Secret’s name", eventsOrAll: "Events, with commas between; none means all", batchEvents: "Events in one message at most",
  ratePerSecond: "Messages a second at most", timeoutMs: "Answer within, ms", keepOrder: "Keep each call’s order", thin: "Ids only, no data",
  wouldChange: "This is what saving changes.", nothingChanges: "Nothing differs from what is in force.",
  versionLine: "Version {version}, by {actor}, {time}", savedVersion: "In force as version {version}.",
  savedLater: "Kept as version {version}; it is in force as soon as the broker is back.",
  firstSecret: "Copy it now: the new endpoint’s secret is shown once, here, and never again.", noSecret: "The endpoint has no secret yet: {why}",
  hours: "Hours back", notJson: "This is not JSON: {why}", reading: "Reading the past …",
  rehearsed: "It would have fired {fired} times in {events} events.", partly: "Read up to {time} only: it took too long.",
  firingLine: "{time} · {type} · {call}", trigger_event: "each event", trigger_window: "counts", trigger_wait: "waits", trigger_kpi: "norm",
  state_open: "receiving", state_resting: "resting", state_failing: "failing", state_closed: "closed", state_disabled: "switched off",
  state_delivered: "delivered", state_waiting: "waits", state_dead: "given up", state_running: "runs", state_done: "done", state_failed: "failed",
};

const UKRAINIAN = {
  skip: "Перейти до журналу", title: "Вебхуки", overview: "Огляд", logout: "Вийти", otherLanguage: "English",
  company: "Компанія",
  live: "Наживо", connecting: "З’єднання …", away: "Зв’язку немає: пробуємо ще раз …", refused: "Доступ завершено. Увійдіть знову.",
  forbidden: "Цей ключ не дає права бачити вебхуки.", success: "Успішність", ofTries: "від усіх спроб", delivered: "Доставлено",
  failedTries: "невдалих спроб", answerTime: "Час відповіді", p50: "медіана", p99: "99 зі 100 не довше", dead: "Відкинуто",
  deadMeans: "їх можна надіслати знову", chart: "Спроби й час відповіді", hour: "1 година", sixHours: "6 годин", day: "24 години",
  endpoints: "Адресати", noEndpoints: "У документі цієї компанії немає адресатів.", endpoint: "Адресат", state: "Стан",
  type: "Подія", call: "Дзвінок", search: "Шукати", clear: "Очистити", time: "Час", tries: "Спроби", error: "Що сталося",
  noRows: "Нічого такого не надсилали.", more: "Давніші", log: "Доставки", all: "усі", close: "Закрити", body: "Що надіслано",
  copy: "Скопіювати", copied: "Скопійовано.", copyByHand: "Його позначено: скопіюйте з клавіатури.", verifyIt: "Як перевіряти підписане ним",
  kindLine: "канал {kind}", waitLine: "чекання > {seconds} с, {queue}",
  redeliver: "Надіслати ще раз", redelivered: "Знову в дорозі, під тим самим id.", details: "Докладно", ping: "Перевірити",
  example: "Приклад", isExample: "приклад", sendExample: "Надіслати", exampleSent: "У дорозі як {id}: дивіться нижче.",
  exampleMeans: "Подія, якої не було, підписана як усі. Її id починаються з example-, вона має заголовок webhook-example, а де немає шаблону, ще й поле example: приймач її розпізнає.",
  pinged: "Перевірка в дорозі: дивіться нижче.", open: "Відкрити знову", replay: "Повторити", newSecret: "Новий секрет",
  replayMeans: "Події за цей час буде надіслано ще раз, під тими id, які вони мали. За ними приймач їх упізнає.",
  since: "Від", until: "До", replayed: "Починається.", failedOnly: "Лише те, що не вдалося доставити", replayLine: "{time}: {state}, надіслано {count}",
  secretMeans: "Попередній секрет підписує поряд із новим ще добу. Новий показують один раз, тут, і більше ніколи.",
  secretShown: "Скопіюйте його зараз. Попередній підписує до {time}.", makeSecret: "Створити", masked: "Особисті дані приховано.",
  full: "Так, як надіслано.", none: "Вміст тут не показують.", tryLine: "{time} · {status} · {ms} мс", noAnswer: "немає відповіді",
  url: "Адреса", id: "webhook-id", failed: "Не вийшло: {why}", triesLabel: "доставлено {delivered}, невдалих спроб {failed}",
  timesLabel: "Медіана і 99 зі 100 відповідей, найбільше {most} мс", failingSince: "Не приймає від {time}",
  advice: "Що допоможе", nothingYet: "За цей час нічого не надсилали.",
  feedAlone: "Кожна подія одразу копіюється до теми. Тут рахується лише те, що мусило чекати.", figures: "успішність {success} · доставлено {delivered}, невдалих спроб {failed} · медіана {p50}",
  rules: "Правила", noRules: "У документі цієї компанії немає ввімкнених правил.", draftRule: "Спробувати нове правило", rehearse: "Спробувати на минулому",
  newRule: "Нове правило", change: "Змінити", newEndpoint: "Новий адресат", save: "Зберегти", check: "Перевірити", takeOut: "Прибрати",
  reallyTakeOut: "Справді прибрати?", takeAway: "Прибрати дію", asJson: "Як JSON", switchedOn: "Увімкнено",
  ruleId: "Id", ruleName: "Назва", trigger: "Коли", events: "Події, через кому", times: "Скільки разів", withinSeconds: "За секунд",
  per: "Рахувати окремо", per_tenant: "для компанії", per_caller: "для абонента", per_agent: "для оператора", per_queue: "для черги", per_line: "для лінії",
  waitsSeconds: "Чекає довше, секунд", queue: "Черга", everyQueue: "усі", schedule: "Розклад", always: "завжди",
  measure: "Показник", measure_service_level: "рівень обслуговування, %", measure_abandon_rate: "втрачені, %", measure_average_wait: "середнє чекання, с",
  norm: "Норма", atLeast: "не менше", atMost: "не більше", overSeconds: "За останні секунд", condition: "Умова (CEL)",
  actions: "Тоді", addAction: "Ще одна дія", to: "Кому", subject: "Тема", text: "Текст",
  placesMean: "Місця на зразок {caller}, {line}, {queue}, {agent}, {time}, {count} буде заповнено.",
  endpointId: "Id", secretRef: "Назва секрету", eventsOrAll: "Події, через кому; порожньо означає всі", batchEvents: "Подій в одному повідомленні, не більше",
  ratePerSecond: "Повідомлень за секунду, не більше", timeoutMs: "Відповідь за, мс", keepOrder: "Зберігати порядок у дзвінку", thin: "Лише id, без даних",
  wouldChange: "Ось що змінить збереження.", nothingChanges: "Нічого не відрізняється від чинного.",
  versionLine: "Версія {version}, {actor}, {time}", savedVersion: "Діє як версія {version}.",
  savedLater: "Збережено як версію {version}; почне діяти, щойно повернеться брокер.",
  firstSecret: "Скопіюйте його зараз: секрет нового адресата показують один раз, тут, і більше ніколи.", noSecret: "Секрету в адресата ще немає: {why}",
  hours: "Годин назад", notJson: "Це не JSON: {why}", reading: "Читаємо минуле …",
  rehearsed: "Спрацювало б разів: {fired}, подій: {events}.", partly: "Прочитано лише до {time}: забракло часу.",
  firingLine: "{time} · {type} · {call}", trigger_event: "кожна подія", trigger_window: "рахує", trigger_wait: "чекання", trigger_kpi: "норма",
  state_open: "приймає", state_resting: "відпочиває", state_failing: "не приймає", state_closed: "закритий", state_disabled: "вимкнений",
  state_delivered: "доставлено", state_waiting: "чекає", state_dead: "відкинуто", state_running: "триває", state_done: "готово", state_failed: "не вдалося",
};

export const language = document.documentElement.lang === "uk" ? "uk" : "en";
const words = language === "uk" ? UKRAINIAN : ENGLISH;

/** Return a word, its {places} filled. */
export function say(key, places = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => (name in places ? String(places[name] ?? "") : whole));
}

/** Write the words of every element that names one. */
export function writeWords() {
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
}

const numbers = new Intl.NumberFormat(language);
export const count = (value) => numbers.format(value);

/** Return a share; what is not whole is never shown as 100 %. */
export function percent(ratio) {
  if (ratio === null || ratio === undefined) return "–";
  const shown = ratio < 1 ? Math.min(ratio, 0.9999) : ratio;
  return new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: ratio > 0.9 && ratio < 1 ? 2 : 0, roundingMode: "floor" }).format(shown);
}

export const span = (ms) => `${count(ms)} ${language === "uk" ? "мс" : "ms"}`;
export const milliseconds = (ms) => (ms === null || ms === undefined ? "–" : `≤ ${span(ms)}`);

/** Day before month, and 24 hours, as on the company's other pages: 11/12 would be two days. */
const moments = new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, { dateStyle: "medium", timeStyle: "medium" });
const clocks = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
export const moment = (ms) => moments.format(ms);
export const clock = (ms) => clocks.format(ms);
