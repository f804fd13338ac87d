/** What is on the page. Everything that others wrote goes through textContent and is isolated (bdi, dir). */

const FIRST_ROOM = "general";
// More than the chat's server keeps: what says that something is missing before it must stay, too.
const MOST_ENTRIES = 1500;
const MOST_IN_A_NOTICE = 200;
const GROUP_SECONDS = 5 * 60;
const NOTICE_SECONDS = 10 * 60;
const NEAR_BOTTOM = 80;

export const NAMELESS = "Guest";
const HUES = [245, 285, 325, 5, 165, 40, 75, 130, 205];

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const enumeration = new Intl.ListFormat("en");
const graphemes = new Intl.Segmenter();

export const byId = (id) => document.getElementById(id);

export function fromTemplate(name) {
  return byId(`${name}-template`).content.firstElementChild.cloneNode(true);
}

export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString()} ${count === 1 ? one : many}`;
}

/** One hue for one name, the same on every page (FNV-1a). */
function hueOf(name) {
  let hash = 0x811c9dc5;
  for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193);
  return HUES[(hash >>> 0) % HUES.length];
}

export function tint(element, name) {
  element.style.setProperty("--hue", hueOf(name));
}

function initials(name) {
  const words = name.trim().split(/\s+/u);
  const ends = words.length > 1 ? [words[0], words.at(-1)] : words;
  return ends.map((word) => graphemes.segment(word).containing(0)?.segment ?? "").join("").toLocaleUpperCase();
}

export const addressOf = (room) => `?${new URLSearchParams({ room })}`;

/** The room that the page's own address names. */
export const roomOfAddress = () => new URLSearchParams(location.search).get("room") || FIRST_ROOM;

export function drawAvatar(element, name) {
  element.textContent = name ? initials(name) : "";
  tint(element, name ?? "");
}

function stamp(element, seconds, format) {
  const date = new Date(seconds * 1000);
  element.dateTime = date.toISOString();
  element.title = moment.format(date);
  element.textContent = format.format(date);
}

/** The text as nodes, its http and https addresses as links. */
function linkified(text) {
  return text.split(/(https?:\/\/[^\s<>"]*[^\s<>"'.,:;!?()[\]{}])/iu).map((part, index) => {
    if (index % 2 === 0 || !URL.canParse(part)) return part;
    const link = document.createElement("a");
    Object.assign(link, { href: part, target: "_blank", rel: "noopener noreferrer", textContent: part });
    return link;
  });
}

/** Whoever has no name, or another's, is still told apart by the member's id. */
function continues(previous, { id, from, own, time }) {
  const sameAuthor = own ? previous?.own : previous?.own === false && previous.id === id;
  return sameAuthor && previous.from === from && time - previous.time < GROUP_SECONDS;
}

/** Who came and went without a message in between, told in one line. */
class PresenceNotice {
  #element;
  #people = new Map();
  #latest;

  constructor(element) {
    this.#element = element;
  }

  takes(time) {
    return time - this.#latest < NOTICE_SECONDS && this.#people.size < MOST_IN_A_NOTICE;
  }

  add({ id, name, event, message }, time) {
    const key = name === null ? `id ${id}` : `name ${name}`;
    const person = this.#people.get(key) ?? { name, first: event, balance: 0 };
    person.balance += event === "join" ? 1 : -1;
    this.#people.set(key, person);
    this.#element.title = moment.format(new Date(time * 1000));
    if (this.#latest === undefined) this.#element.textContent = message;
    else this.#element.replaceChildren(...this.#told());
    this.#latest = time;
  }

  #told() {
    const named = { joined: [], left: [], "came back": [], "came and went": [] };
    for (const { name, first, balance } of this.#people.values()) {
      if (balance > 0) named.joined.push(name);
      else if (balance < 0) named.left.push(name);
      else named[first === "leave" ? "came back" : "came and went"].push(name);
    }
    const sentences = Object.entries(named).filter(([, names]) => names.length > 0);
    return sentences.flatMap(([what, names], index) => [index ? " · " : "", ...this.#crowd(names), ` ${what}`]);
  }

  #crowd(names) {
    const named = names.filter((name) => name !== null);
    const phrases = named.slice(0, 3);
    const others = names.length - phrases.length;
    if (others > 0) phrases.push(plural(others, named.length > 3 ? "other" : "guest"));
    return enumeration.formatToParts(phrases).map(({ type, value }) => {
      if (type === "literal") return value;
      const isolated = document.createElement("bdi");
      isolated.textContent = value;
      return isolated;
    });
  }
}

/** The messages and notices of one room, and below them the messages that still wait for their echo. */
export class Log {
  #scroller = byId("messages");
  #entries = byId("entries");
  #pendingEntries = byId("pending");
  #toNewest = byId("new-messages");
  #pending = new Map();
  #lastMessage;
  #lastDay;
  #presence;
  #isFollowing = true;
  #scrollTop = 0;
  #unread = 0;

  constructor(onDiscard) {
    this.#pendingEntries.addEventListener("click", ({ target }) => {
      if (target.closest(".discard")) onDiscard(target.closest(".message").dataset.key);
    });
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#toNewest.addEventListener("click", () => {
      this.scrollToBottom();
      this.#scroller.focus();
    });
    const follow = new ResizeObserver(() => this.#isFollowing && this.scrollToBottom());
    follow.observe(this.#scroller);
    follow.observe(this.#scroller.firstElementChild);
  }

  /** Empty it. What comes before `settled` is the past, which a screen reader does not read out. */
  clear() {
    this.#scroller.ariaBusy = "true";
    this.#entries.replaceChildren();
    this.#pendingEntries.replaceChildren();
    this.#pending.clear();
    this.#lastMessage = this.#lastDay = this.#presence = undefined;
    this.scrollToBottom();
  }

  settled() {
    this.#scroller.ariaBusy = "false";
  }

  /** Show a message {key, text, from, time, own}, in the place of the pending one of the same key. */
  add(message) {
    this.removePending(message.key);
    this.#presence = undefined;
    this.#startDay(message.time);
    const element = this.#draw(message, "false");
    element.classList.toggle("starts", !continues(this.#lastMessage, message));
    this.#lastMessage = message;
    this.#append(element);
    if (!this.#isFollowing) this.#countUnread();
  }

  addPending(ownMessage) {
    const message = { ...ownMessage, own: true };
    const element = this.#draw(message, "true");
    this.#pending.set(message.key, { message, element });
    this.#pendingEntries.append(element);
    this.#group();
  }

  /** The server could not send the message of this key: until it is sent again, or for good. */
  markUnsent(key, isUnsent) {
    this.#pending.get(key)?.element.toggleAttribute("data-unsent", isUnsent);
  }

  /** Take the pending message of this key away, if there is one. */
  removePending(key) {
    this.#pending.get(key)?.element.remove();
    this.#pending.delete(key);
    this.#group();
  }

  addNotice(text) {
    this.#presence = undefined;
    this.#appendNotice(Date.now() / 1000).textContent = text;
  }

  /** Say that something is missing before what comes next, whatever day that is from. */
  addGap(text) {
    const element = fromTemplate("notice");
    element.classList.add("gap");
    element.textContent = text;
    this.#presence = this.#lastMessage = undefined;
    this.#append(element);
  }

  addPresence(event) {
    const time = Date.now() / 1000;
    if (!this.#presence?.takes(time)) this.#presence = new PresenceNotice(this.#appendNotice(time));
    this.#presence.add(event, time);
  }

  scrollToBottom() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#scrollTop = this.#scroller.scrollTop;
    this.#follow(true);
  }

  #appendNotice(time) {
    const element = fromTemplate("notice");
    this.#startDay(time);
    this.#lastMessage = undefined;
    this.#append(element);
    return element;
  }

  #draw({ key, text, from, time, own }, pending) {
    const element = fromTemplate("message");
    const part = (selector) => element.querySelector(selector);
    Object.assign(element.dataset, { own, pending });
    if (key) element.dataset.key = key;
    drawAvatar(part(".avatar"), from);
    tint(element, from ?? "");
    element.toggleAttribute("data-nameless", !from);
    part(".author").textContent = from ?? (own ? "You" : NAMELESS);
    stamp(part("time"), time, clock);
    part(".bubble").append(...linkified(text));
    return element;
  }

  #startDay(time) {
    const today = new Date(time * 1000).toDateString();
    if (today === this.#lastDay) return;
    this.#lastDay = today;
    this.#lastMessage = undefined;
    const element = fromTemplate("day");
    stamp(element.firstElementChild, time, day);
    this.#entries.append(element);
  }

  #append(element) {
    this.#entries.append(element);
    this.#group();
    while (this.#entries.childElementCount > MOST_ENTRIES) {
      const [heading, oldest] = this.#entries.children;
      // A day's heading stays until its whole day has gone.
      (oldest.matches(".day") ? heading : oldest).remove();
    }
  }

  /** What stands above the pending messages has changed, and with it who needs a byline. */
  #group() {
    let previous = this.#lastMessage;
    for (const { message, element } of this.#pending.values()) {
      element.classList.toggle("starts", !continues(previous, message));
      previous = message;
    }
  }

  /** New messages move the bottom away, too: only who scrolls up wants to stay there. */
  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    const wentUp = scrollTop < this.#scrollTop;
    this.#scrollTop = scrollTop;
    if (scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM) this.#follow(true);
    else if (wentUp) this.#follow(false);
  }

  #follow(isFollowing) {
    this.#isFollowing = isFollowing;
    // Else the browser scrolls up for the oldest messages that are taken away.
    this.#scroller.classList.toggle("following", isFollowing);
    if (!isFollowing) return;
    this.#unread = 0;
    this.#toNewest.hidden = true;
  }

  #countUnread() {
    this.#unread += 1;
    this.#toNewest.textContent = plural(this.#unread, "new message");
    this.#toNewest.hidden = false;
  }
}
