// Every word of the page, in English and Ukrainian. A key that is missing in one of them is a fault.

const ENGLISH = {
  skip: "Skip to the call", title: "My desk", logout: "Sign out", otherLanguage: "Українська",
  live: "Live", connecting: "Connecting …", away: "No contact: trying again …", refused: "Your access has ended. Sign in again.",
  ready: "Ready", awayStatus: "Away", offline: "Offline", phoneGone: "Your phone is not registered: nobody can ring you.",
  state_offline: "offline", state_idle: "free", state_reserved: "a call is coming", state_ringing: "ringing", state_talking: "talking",
  state_holding: "on hold", state_wrap_up: "after the call", state_away: "away", state_unreachable: "phone out of reach",
  call: "Call", nobody: "Nobody is on the line.", hidden: "Number withheld", vip: "VIP", queue: "Queue", line: "Line",
  call_flow: "in the menu", call_waiting: "ringing at your phone", call_talking: "on the line", call_held: "on hold", call_over: "has ended",
  reject: "Reject", hold: "Hold", resume: "Back to the caller", mute: "Mute", unmute: "Unmute", mask: "Mask the recording", unmask: "Record again",
  hangup: "Hang up", transfer: "Transfer", transferTo: "To", askFirst: "Ask first",
  askedMeans: "You ask a colleague while the caller hears music.", handOver: "Hand the caller over", together: "All three together", swap: "Change over",
  agents: "Colleagues", queues: "Queues", outside: "Number outside", number: "Number",
  afterCall: "Outcome", disposition: "Outcome", choose: "Choose …", notes: "Notes", save: "Save", saved: "Saved.", done: "Done, next call", longer: "30 seconds more",
  write: "Write to the caller", channel: "By", sms: "SMS", email: "E-mail", address: "Caller’s mail address",
  addressMeans: "Empty: the address that the order or CRM knows.", text: "Text", send: "Send", sent: "It is on its way.",
  dial: "Call somebody", dialNow: "Call", dialled: "Your phone rings first.", failed: "That failed: {why}", keys: "Keys", press: "Press", pressed: "Pressed.",
};

const UKRAINIAN = {
  skip: "Перейти до дзвінка", title: "Моє місце", logout: "Вийти", otherLanguage: "English",
  live: "Наживо", connecting: "З’єднання …", away: "Зв’язку немає: пробуємо ще раз …", refused: "Доступ завершено. Увійдіть знову.",
  ready: "Готовність", awayStatus: "Перерва", offline: "Не на роботі", phoneGone: "Ваш телефон не зареєстровано: до вас ніхто не додзвониться.",
  state_offline: "не на роботі", state_idle: "вільно", state_reserved: "надходить дзвінок", state_ringing: "дзвонить", state_talking: "розмова",
  state_holding: "на утриманні", state_wrap_up: "після дзвінка", state_away: "перерва", state_unreachable: "телефон недоступний",
  call: "Дзвінок", nobody: "На лінії нікого немає.", hidden: "Номер приховано", vip: "VIP", queue: "Черга", line: "Лінія",
  call_flow: "у меню", call_waiting: "дзвонить на ваш телефон", call_talking: "на лінії", call_held: "на утриманні", call_over: "завершено",
  reject: "Відхилити", hold: "Утримати", resume: "Повернутися до клієнта", mute: "Вимкнути мікрофон", unmute: "Увімкнути мікрофон",
  mask: "Не записувати голоси", unmask: "Записувати знову", hangup: "Завершити", transfer: "Передати", transferTo: "Кому", agents: "Колеги", askFirst: "Спершу запитати",
  askedMeans: "Ви питаєте колегу, клієнт тим часом чує музику.", handOver: "Передати клієнта", together: "Розмовляти втрьох", swap: "Перемкнутися",
  queues: "Черги", outside: "Зовнішній номер", number: "Номер",
  afterCall: "Підсумок", disposition: "Підсумок", choose: "Оберіть …", notes: "Нотатки", save: "Зберегти", saved: "Збережено.",
  done: "Готово, наступний", longer: "Ще 30 секунд",
  write: "Написати клієнтові", channel: "Як", sms: "SMS", email: "Ел. пошта", address: "Поштова адреса клієнта",
  addressMeans: "Порожньо: адреса, яку знає замовлення або CRM.", text: "Текст", send: "Надіслати", sent: "Уже в дорозі.",
  dial: "Зателефонувати", dialNow: "Набрати", dialled: "Спершу задзвонить ваш телефон.", failed: "Не вдалося: {why}", keys: "Клавіші", press: "Натиснути", pressed: "Натиснуто.",
};

// The service says what is wrong in English; a problem's kind brings the sentence in the reader's language.
const PROBLEMS = {
  "agent-not-found": "у документі компанії немає такого оператора.", "call-not-found": "такого дзвінка вже немає.",
  "bad-request": "так записати не можна: перевірте поля.", forbidden: "цей ключ не дає на це права.",
  "address-unknown": "поштова адреса клієнта невідома: запитайте її та впишіть.", "bad-address": "це не поштова адреса на зразок olena@example.com.",
  "number-withheld": "номер клієнта приховано: писати нікуди.", "foreign-page": "запит прийшов з чужої сторінки.",
  unauthorized: "доступ завершено. Увійдіть знову.", "log-unavailable": "зараз не приймається; спробуйте ще раз.",
  "agent-not-free": "колега зараз не вільний.", "nobody-free": "у цій черзі зараз ніхто не вільний.", "queue-not-found": "такої черги немає.",
  "queue-closed": "цю чергу зараз ніхто не обслуговує.", "number-not-allowed": "на цей номер телефонувати не можна.",
  "not-talking": "на цьому дзвінку зараз ніхто не розмовляє.", "not-consulting": "той, кого ви питаєте, ще не відповів або вже не на лінії.",
  "call-on-its-way": "дзвінок саме переходить до іншої черги; спробуйте за мить.", "not-ringing": "цей дзвінок вам уже не пропонують.",
  "not-in-wrap-up": "час після дзвінка вже минув.", "too-long": "довше працювати після дзвінка не можна.", "unknown-status": "такого стану немає.",
  "unknown-disposition": "компанія не має такого підсумку.", "bad-digits": "клавіші – це від 1 до 32 знаків 0–9, *, #, A–D.",
  "bad-message": "повідомлення має від 1 до 1000 знаків.", "not-recorded": "цей дзвінок не записується.",
  "recorded-already": "цей дзвінок уже записується.", "consent-refused": "клієнт не погодився на запис.",
  "recording-forbidden": "правила компанії забороняють тут записувати.", "recorded-by-policy": "цей запис веде компанія: його можна лише приховати чи зупинити на час.",
  "no-capacity": "зараз зателефонувати не можна: усі канали зайняті.", "line-not-found": "компанія не має такої лінії.",
  "language-not-known": "компанія не має такої мови.",
};

export const language = document.documentElement.lang === "uk" ? "uk" : "en";
const words = language === "uk" ? UKRAINIAN : ENGLISH;

/** Return a word, its {places} filled. */
export function say(key, places = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => (name in places ? String(places[name] ?? "") : whole));
}

/** Return a refusal's kind, the last word of its type. */
export const kindOf = (problem) => String(problem.type ?? "").split(/[:/]/).pop();

/** Return what a refusal says, in the page's language where its kind is known. */
export function sayProblem(problem, status) {
  const kind = kindOf(problem);
  return (language === "uk" && PROBLEMS[kind]) || problem.faults?.[0]?.message || problem.detail || problem.title || `HTTP ${status}`;
}

/** Write the words of every element that names one. */
export function writeWords() {
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
}
