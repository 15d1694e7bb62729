// What is wrong, in the page's language. The services say it in English; a fault brings its sentence's template and values,
// a problem its kind. What has no translation here is said as it came.

import { language } from "./words.js";

const PROBLEMS = {
  "bad-document": "у документі були б помилки; нічого не змінено.",
  "bad-idempotency-key": "ключ повтору має від 1 до 255 знаків.",
  "bad-json": "це не JSON.",
  "bad-parameters": "параметри не підходять: {detail}",
  "bad-request": "бракує компанії: оберіть її.",
  "bad-rule": "правило не підходить: {detail}",
  "changed-meanwhile": "{actor} тим часом застосував версію {version}: відкрийте ще раз і подивіться, що змінилося.",
  "crm-unavailable": "CRM не відповідає: {detail}",
  "endpoint-closed": "адресат зараз нічого не приймає: відкрийте його знову.",
  forbidden: "цей ключ не дає на це права.",
  "foreign-page": "запит прийшов з чужої сторінки.",
  "internal-error": "служба не змогла відповісти; причина в її журналі.",
  "no-answer": "консоль не відповідає. Подивіться на документ, перш ніж пробувати знову: він міг змінитися.",
  "no-key": "немає ключа, яким секрети запечатують: адміністратор додає «key» до файлу секретів.",
  "not-a-part": "змінити можна правило або адресата.",
  "not-found": "такого тут немає; можливо, його вже прибрали.",
  "not-kept": "надіслане вже не зберігається: повторіть саму подію.",
  "store-unavailable": "сховище документів не відповідає; нічого не змінено.",
  "too-late": "відповідь чекала надто довго; нічого не змінено.",
  "too-many-streams": "журнал уже відкрито в надто багатьох вікнах.",
  "no-such-event": "такої події немає.",
  "not-a-webhook": "приклади надсилають лише на вебхуки: людина чи CRM повірила б.",
  unauthorized: "доступ завершено. Увійдіть знову.",
  unavailable: "служба зараз не може цього зробити; спробуйте ще раз.",
  "unsupported-media-type": "треба надсилати JSON.",
};

const SENTENCES = {
  // names and references
  "there is no schedule {name}.": "немає розкладу {name}.",
  "there is no queue {name}.": "немає черги {name}.",
  "there is no channel and no webhook endpoint {name}.": "немає ні каналу, ні адресата {name}.",
  "{name} is a webhook endpoint's id already.": "{name} вже є id адресата.",
  "{name} is a norm of kpis already: its events would be mixed up.": "{name} вже є нормою в kpis: їхні події переплуталися б.",
  // rules
  "has {first} and {other}: make a rule for each.": "має {first} і {other}: зробіть для кожного своє правило.",
  "a rule with {trigger} chooses its events itself: leave them out.": "правило з {trigger} саме обирає події: приберіть їх.",
  "is missing: say on which events, for example call.lost.": "не вказано: на які події, наприклад call.lost.",
  "needs either at_least or at_most.": "потрібна одна межа: або «не менше», або «не більше».",
  "is missing: say what is sent.": "не вказано: що надсилати.",
  "is missing: a mail has one.": "не вказано: лист її має.",
  "channel {name} names no recipients: only message.requested says a caller's mail address.":
    "канал {name} не має отримувачів: адресу абонента знає лише message.requested.",
  "is missing: it names the token in the secret store.": "не вказано: це назва ключа у сховищі секретів.",
  "needs either gateway, the name of one, or smpp, a message centre.": "потрібне одне: gateway (назва шлюзу) або smpp (центр повідомлень).",
  "is missing: a CRM takes {taken} as they are, and of other events a task with this text.":
    "не вказано: події {taken} CRM бере самі, а з інших робить завдання з цим текстом.",
  "is for feeds and CRMs: people get messages by rules.": "це для потоків і CRM: людям пишуть правила.",
  // conditions and texts
  "The expression is empty; write a condition.": "Вираз порожній: напишіть умову.",
  "The expression is longer than {most} characters; split it into steps.": "Вираз довший за {most} знаків: поділіть його.",
  "Character {at} can't stand there; use names, numbers, texts and operators.": "Знак {at} тут не може стояти: є назви, числа, тексти й дії.",
  "The expression has more than {most} words; split it into steps.": "У виразі понад {most} слів: поділіть його.",
  "There is no function {word}; known are {known}.": "Немає функції {word}; є {known}.",
  "There is no {word}; known are {known}.": "Немає {word}; є {known}.",
  "Say which one of {word} is meant, for example {word}.name.": "Скажіть, що саме з {word}, наприклад {word}.name.",
  "{owner} has no field {field}.": "{owner} не має поля {field}.",
  "There is no {owner}.{field}; declare it first.": "Немає {owner}.{field}; спершу оголосіть його.",
  "The expression nests deeper than {most}; split it into steps.": "Вираз вкладено глибше за {most}: поділіть його.",
  "matches takes a pattern that is written out, as in caller.matches('^[+]38').": "matches бере зразок, записаний прямо: caller.matches('^[+]38').",
  "A pattern has up to {length} characters and no {{; {most} at most.": "Зразок має до {length} знаків і без {{; не більше {most} зразків.",
  "{text} is no regular expression.": "{text} не є регулярним виразом.",
  "The expression can't be read: see the operators of CEL.": "Вираз не вдається прочитати: подивіться на дії CEL.",
  "The text is longer than {most} characters; make it shorter.": "Текст довший за {most} знаків: скоротіть його.",
  "Character {at} is a single brace; write it twice.": "Знак {at} є однією дужкою: напишіть її двічі.",
  "There is no {{{place}}}.": "Немає {{{place}}}.",
  "There is no {{{place}}}; known are {known}.": "Немає {{{place}}}; є {known}.",
  "The text has more than {most} places to fill; make it shorter.": "У тексті понад {most} місць для заповнення: скоротіть його.",
  // endpoints
  "is too short: give a try at least {least} ms, or 0 for the platform's time.": "замало: дайте спробі щонайменше {least} мс або 0, тобто час платформи.",
  "means nothing alone: say batch_events, how many come together.": "саме по собі нічого не означає: скажіть, скільки подій разом (batch_events).",
  "must begin with https://: a secret goes there.": "має починатися з https://: туди йде секрет.",
  "and oauth exclude each other: leave one of them out.": "і oauth разом не бувають: приберіть одне з них.",
  "and a template exclude each other: leave one of them out.": "і шаблон разом не бувають: приберіть одне з них.",
  'must be JSON with places like "{{{{data.line}}}}" inside its texts: {why}.': "має бути JSON з місцями на зразок «{{{{data.line}}}}» у текстах: {why}.",
  "is longer than {most} signs: make it shorter.": "довше за {most} знаків: скоротіть.",
  "has more than {most} places to fill: leave some out.": "має понад {most} місць для заповнення: приберіть частину.",
  "nests deeper than {most}: make it flatter.": "вкладено глибше за {most}: зробіть простішим.",
  "there is no {{{{{place}}}}} in an event: see the fields in docs/events.md.": "у подіях немає {{{{{place}}}}}: поля є в docs/events.md.",
  "is no header name: use letters, digits and hyphens.": "не є назвою заголовка: можна літери, цифри й дефіси.",
  "is set by the platform itself: leave it out.": "платформа ставить його сама: приберіть.",
  "is there twice: header names don't tell capitals from small letters.": "є двічі: у назвах заголовків великі й малі літери однакові.",
  "must not hold spaces, control characters or letters outside ASCII.": "не може мати пробілів, керівних знаків і літер поза ASCII.",
  "can't be read as a URL.": "не читається як адреса.",
  "must begin with http:// or https://.": "має починатися з http:// або https://.",
  "must name a host, and a port that exists.": "має назвати хост і порт, який буває.",
  "must not hold a user or a password.": "не може мати користувача чи пароля.",
  // shape
  "is missing.": "не вказано.",
  "is not a field.": "такого поля немає.",
  "is not a field. Did you mean {hint}?": "такого поля немає. Може, {hint}?",
  "{value} is not known.": "{value}: такого немає.",
  "{value} is not known. Did you mean {hint}?": "{value}: такого немає. Може, {hint}?",
  "{value} is not known. It must be one of {known}.": "{value}: такого немає. Буває {known}.",
  "{value} is not known. Did you mean {hint}? It must be one of {known}.": "{value}: такого немає. Може, {hint}? Буває {known}.",
  "{value} must be {meaning}.": "{value}: тут має бути {meaning}.",
  "must be {what}.": "має бути {what}.",
  "must have exactly one of {choices}.": "має містити рівно одне з {choices}.",
  "must be at least {count}.": "має бути не менше {count}.",
  "must be at most {count}.": "має бути не більше {count}.",
  "needs at least {count}.": "потрібно щонайменше {count}.",
  "has more than {count} entries.": "має понад {count} записів.",
  "needs at least {count} characters.": "потрібно щонайменше {count} знаків.",
  "has more than {count} characters.": "має понад {count} знаків.",
  "names something twice.": "називає щось двічі.",
  "is longer than {most} bytes.": "довше за {most} байтів.",
  "is not JSON: {why}.": "не є JSON: {why}.",
  "is not an object.": "не є об’єктом.",
};

// What the schema says of a value's form.
const MEANINGS = {
  "a text": "текст", "a whole number": "ціле число", "a list": "список", "a mapping": "об’єкт", "true or false": "true або false",
  "of another form": "інша форма", number: "число",
  "letters, digits, hyphens and underscores, at most 63": "літери, цифри, дефіси й підкреслення, не більше 63",
  "text of one line, at most 120 characters": "текст в один рядок, не більше 120 знаків",
  "text of one line, at most 500 characters": "текст в один рядок, не більше 500 знаків",
  "text of at most 1000 characters, without control characters": "текст до 1000 знаків, без керівних",
  "text of at most 1000 characters, without control characters but line ends": "текст до 1000 знаків, без керівних, крім кінців рядка",
  "a header's value: ASCII without line ends, no space at its ends": "значення заголовка: ASCII без кінців рядка, без пробілів по краях",
};

const filled = (template, values) =>
  template.replace(/\{\{|\}\}|\{(\w+)\}/g, (whole, name) => (name === undefined ? whole[0] : String(values[name] ?? "")));

/** Return the sentence of one thing that is wrong with a rule or an endpoint. */
export function sayFault({ message, template, values = {} }) {
  const known = language === "uk" ? SENTENCES[template] : undefined;
  if (!known) return message;
  return filled(known, Object.fromEntries(Object.entries(values).map(([name, value]) => [name, MEANINGS[value] ?? value])));
}

/** Return the sentence of a refusal; `status` alone where the service said nothing. */
export function sayProblem(problem, status) {
  const kind = (problem.type ?? "").split(":").pop();
  const known = language === "uk" ? PROBLEMS[kind] : undefined;
  return known ? filled(known, { actor: "…", version: "…", ...problem }) : problem.detail ?? `${status}`;
}
