/** What was written and has no echo yet, and how it is sent again. */

const MOST_PENDING = 100;
/** Not more than the server takes from a new connection without a warning (--messages-per-second), question included. */
const AT_ONCE = 15;
const EVERY = 1_000;

/** The messages {key, text, from, time} that have no echo yet, in order, each in the room it was written in. */
export class Outbox {
  #kept;

  /** @param kept holds `value`, a list of [room, messages], also over a reload. */
  constructor(kept) {
    this.#kept = kept;
  }

  get rooms() {
    return this.#kept.value.map(([room]) => room);
  }

  in(room) {
    return new Map(this.#kept.value).get(room) ?? [];
  }

  isFull(room) {
    return this.in(room).length >= MOST_PENDING;
  }

  add(room, message) {
    this.#put(room, [...this.in(room), message]);
  }

  /** Nothing is to be sent any more for `key`: its echo has come, or its author has discarded it. */
  settle(room, key) {
    const others = this.in(room).filter((message) => message.key !== key);
    if (others.length < this.in(room).length) this.#put(room, others);
  }

  #put(room, messages) {
    const rooms = new Map(this.#kept.value).set(room, messages);
    this.#kept.value = [...rooms].filter(([, waiting]) => waiting.length > 0);
  }
}

/**
 * Messages, sent so many at once, in order, until the server has taken all of them. What it had before has no second
 * echo, but it answers in order: a question behind each portion tells when that was taken.
 */
export class Portions {
  #send;
  #waiting = [];
  #sent = [];
  #next;

  /** @param send sends the messages that it is called with, and a question behind them. */
  constructor(send) {
    this.#send = send;
  }

  get isUnderWay() {
    return this.#waiting.length > 0;
  }

  /** Send these, and forget any others. */
  begin(messages) {
    this.stop();
    this.#waiting = [...messages];
    this.#sendNext();
  }

  /** Send this one behind the others. */
  add(message) {
    this.#waiting.push(message);
  }

  /** This one is not to be sent any more. */
  drop(key) {
    const isOther = (message) => message.key !== key;
    this.#waiting = this.#waiting.filter(isOther);
    this.#sent = this.#sent.filter(isOther);
  }

  /** This one was not taken: those behind it are not to overtake it. */
  failed(key) {
    this.drop(key);
    this.stop();
  }

  /** Send no more of them. */
  stop() {
    clearTimeout(this.#next);
    this.#next = undefined;
    this.#waiting = [];
  }

  /** The server has answered all questions. Returns what it has taken since it was told so before. */
  taken() {
    if (this.isUnderWay) this.#next ??= setTimeout(() => this.#sendNext(), EVERY);
    return this.#sent.splice(0);
  }

  #sendNext() {
    this.#next = undefined;
    this.#sent = this.#waiting.splice(0, AT_ONCE);
    this.#send(this.#sent);
  }
}
