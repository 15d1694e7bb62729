// Every word of the page, in English and Ukrainian. A key that is missing in one of them is a fault.

const ENGLISH = {
  skip: "Skip to the queues", overview: "Overview", waiting: "Waiting", longest: "Longest wait",
  level: "Service level, 15 min", levelShort: "Service level", meanWaitShort: "Mean wait", levelToday: "Today", today: "Today", agents: "Agents", freeNow: "free",
  onCall: "on a call", present: "at work", callsToday: "Calls today", inProgress: "in progress",
  meanWait: "Mean wait, 15 min", queues: "Queues", queue: "Queue",
  answeredToday: "Answered", abandonedToday: "Abandoned", freeAgents: "Free", noQueues: "No queues yet.",
  dayChart: "Calls of the day", noCalls: "No calls today yet.", noAgents: "No agents yet.", logout: "Sign out",
  answered: "Answered", abandoned: "Abandoned", other: "Other", levelLine: "Service level", company: "Company",
  wallOn: "Wall", wallOff: "Leave the wall", otherLanguage: "Українська",
  live: "Live", connecting: "Connecting …",
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
  meanHandle: "Mean handling, 15 min", handling: "handling {time}", estimate: "estimate {time}", busy: "busy", callsNow: "Calls now",
  caller: "Caller", stage: "Stage", where: "Where", since: "For", noCallsNow: "No calls now.", unknownCaller: "No number",
  moreCalls: "and {count} more", stage_flow: "In the flow", stage_waiting: "Waiting", stage_talking: "Talking",
  agentDay: "{answered} today · {occupancy} busy", reports: "Reports", livePage: "Live", skipToResult: "Skip to the result",
  report: "Report", period: "Period", from: "From", lastDay: "Last day", groupBy: "Group by", show: "Show",
  onlyWhere: "Only where", addFilter: "Add a condition", run: "Show the report", nothing: "Nothing in this period.",
  former: "Back", next: "On", close: "Close", place: "{first}–{last} of {all}", value: "Value", remove: "Remove",
  period_today: "Today", period_yesterday: "Yesterday", period_this_week: "This week", period_last_week: "Last week",
  period_this_month: "This month", period_last_month: "Last month", period_last_7_days: "Last 7 days",
  period_last_30_days: "Last 30 days", period_dates: "From … to …", exports: "Save as", behind: "{metric}: the rows behind {cell}",
  allOfIt: "the whole", ordered: "sorted, {way}", up: "rising", down: "falling", yes: "yes", no: "no", empty: "–",
  not_over: "The period is not over yet.", documents_away: "The document store is away: the newest facts may be missing.",
  failed: "The report could not be made: {why}", noAnswer: "No answer; try again.", whyTitle: "Why call {call} went where it went",
  chartOf: "{metric} by {group}", options: "Options", compare: "Beside the period before", comparedWith: "beside {from} – {until}",
  beforeIt: "before: {value}", nothingBefore: "new", asking: "Counting …", points: "{value} points",
  option_tz: "Time zone", option_threshold_seconds: "Threshold of the service level, seconds",
  option_fcr_hours: "FCR: no repeat in so many hours", option_fcr_queues: "FCR: queues that count as one", option_resolved: "FCR: these outcomes mean solved",
  option_unresolved: "FCR: these outcomes mean not solved", option_tariff: "Tariff XX/YY/ZZ, seconds: free / first / step",
  option_agents: "With so many agents", option_target_percent: "Goal: per cent in time", option_patience_seconds: "Patience of callers, seconds",
};

const UKRAINIAN = {
  skip: "Перейти до черг", overview: "Огляд", waiting: "Чекають", longest: "Найдовше чекання",
  level: "Рівень сервісу, 15 хв", levelShort: "Рівень сервісу", meanWaitShort: "Середнє чекання", levelToday: "За день", today: "За день", agents: "Оператори", freeNow: "вільні",
  onCall: "розмовляють", present: "на роботі", callsToday: "Дзвінки за день", inProgress: "тривають",
  meanWait: "Середнє чекання, 15 хв", queues: "Черги", queue: "Черга",
  answeredToday: "Прийняті", abandonedToday: "Втрачені", freeAgents: "Вільні", noQueues: "Черг ще немає.",
  dayChart: "Дзвінки протягом дня", noCalls: "Сьогодні дзвінків ще не було.", noAgents: "Операторів ще немає.",
  logout: "Вийти", answered: "Прийняті", abandoned: "Втрачені", other: "Інші", levelLine: "Рівень сервісу",
  company: "Компанія", wallOn: "На стіну", wallOff: "Звичайний вигляд", otherLanguage: "English",
  live: "Наживо",
  connecting: "З’єднання …", stale: "Застаріло: зв’язку немає з {time}. Числа — на той час.",
  refused: "Доступ завершено. Увійдіть знову.", forbidden: "Цей ключ не дає права бачити живі числа.",
  busy: "Відкрито забагато екранів. Пробуємо ще раз …",
  catching_up: "Числа відновлюються з журналу й ще не повні.",
  switch_gap: "Факти комутатора {node} з {from} до {until} можуть бути втрачені: числа можуть бути занижені.",
  switch_away: "З комутатором {node} немає зв’язку з {from}: дзвінки тривають, числа можуть відставати.",
  late_events: "Деякі факти надійшли запізно, або їх було забагато, щоб порахувати сьогодні.",
  lastEvent: "Остання подія {time}", noEvent: "Подій ще не було",
  formula: "Рівень сервісу {variant} = {formula}. A — прийняті, B — втрачені, T — у межах норми черги.",
  threshold: "норма {seconds} с", of: "{part} / {whole}", waitingTrend: "Ті, хто чекав, за останню годину: найбільше {most}",
  perQuarter: "Дзвінки за чверть години: прийняті {answered}, втрачені {abandoned}, інші {other}", none: "немає",
  state_offline: "Не на зв’язку", state_idle: "Вільний", state_reserved: "Обраний", state_ringing: "Дзвонить",
  state_talking: "Розмовляє", state_holding: "На утриманні", state_wrap_up: "Опрацювання",
  state_unreachable: "Недосяжний", state_away: "Відійшов", state_unspecified: "Невідомо", goal: "ціль {goal}",
  meanHandle: "Середня обробка, 15 хв", handling: "обробка {time}", estimate: "прогноз {time}", busy: "зайняті", callsNow: "Дзвінки зараз",
  caller: "Хто дзвонить", stage: "Етап", where: "Де", since: "Триває", noCallsNow: "Зараз дзвінків немає.", unknownCaller: "Без номера",
  moreCalls: "і ще {count}", stage_flow: "У сценарії", stage_waiting: "Чекає", stage_talking: "Розмовляє",
  agentDay: "{answered} за день · зайнятість {occupancy}", reports: "Звіти", livePage: "Наживо", skipToResult: "Перейти до результату",
  report: "Звіт", period: "Період", from: "З", lastDay: "Останній день", groupBy: "Групувати за", show: "Показати",
  onlyWhere: "Лише де", addFilter: "Додати умову", run: "Показати звіт", nothing: "За цей період нічого немає.",
  former: "Назад", next: "Далі", close: "Закрити", place: "{first}–{last} з {all}", value: "Значення", remove: "Прибрати",
  period_today: "Сьогодні", period_yesterday: "Учора", period_this_week: "Цей тиждень", period_last_week: "Минулий тиждень",
  period_this_month: "Цей місяць", period_last_month: "Минулий місяць", period_last_7_days: "Останні 7 днів",
  period_last_30_days: "Останні 30 днів", period_dates: "З … по …", exports: "Зберегти як", behind: "{metric}: рядки, з яких складається {cell}",
  allOfIt: "усе", ordered: "впорядковано, {way}", up: "за зростанням", down: "за спаданням", yes: "так", no: "ні", empty: "–",
  not_over: "Період ще не закінчився.", documents_away: "Сховище документів недоступне: найновіших фактів може бракувати.",
  failed: "Звіт не вдалося зробити: {why}", noAnswer: "Відповіді немає; спробуйте ще раз.", whyTitle: "Чому дзвінок {call} пішов саме так",
  chartOf: "{metric}: {group}", options: "Параметри", compare: "Порівняти з попереднім періодом", comparedWith: "поруч із {from} – {until}",
  beforeIt: "до того: {value}", nothingBefore: "нове", asking: "Рахуємо …", points: "{value} в. п.",
  option_tz: "Часовий пояс", option_threshold_seconds: "Поріг рівня сервісу, секунди",
  option_fcr_hours: "FCR: без повтору стільки годин", option_fcr_queues: "FCR: черги, що рахуються як одна", option_resolved: "FCR: підсумки, що означають «вирішено»",
  option_unresolved: "FCR: підсумки, що означають «не вирішено»", option_tariff: "Тариф XX/YY/ZZ, секунди: безкоштовно / перші / крок",
  option_agents: "Зі стількома операторами", option_target_percent: "Ціль: відсоток вчасно", option_patience_seconds: "Терпіння клієнтів, секунди",
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
const exactPercents = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });

export const count = (value) => numbers.format(value);
export const percent = (ratio) => (ratio === null || ratio === undefined ? "–" : percents.format(ratio));

const tenths = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });

/** Return a difference of two ratios in percentage points. */
export const points = (difference) => say("points", { value: tenths.format(100 * difference) });

export const exactPercent = (ratio) => exactPercents.format(ratio);

/** Return a duration as m:ss, or h:mm:ss. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** Return a moment's day in a time zone, day before month: 11/12 would be two days. */
export function date(ms, timeZone) {
  return new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, { dateStyle: "medium", timeZone }).format(ms);
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
