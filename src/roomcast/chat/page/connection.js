/** The way to the server and back: who writes, a WebSocket that returns when it is lost, each message once. */

import { Portions } from "/outbox.js";

const SUBPROTOCOL = "roomcast.chat.v1";
const FIRST_DELAY = 500;
const LONGEST_DELAY = 15_000;
const STABLE_AFTER = 10_000;
const ANSWER_WITHIN = 8_000;
const DELIVER_WITHIN = 15_000;
const MOST_KEYS = 5_000;
const NO_EPOCH = "none";

const DONE = 1000;
const REFUSED = new Set([1002, 1003, 1007, 1008, 1009, 1010]);

/** After these, the same attempt would end the same way; the server keeps the same list (close_codes.py). */
function isFinal(code) {
  return code === DONE || REFUSED.has(code) || (code >= 4000 && code < 4020);
}

export const STATE_NAMES = {
  connected: "Connected",
  reconnecting: "Reconnecting",
  offline: "Offline, retrying",
  closed: "Not connected",
};

const ENDINGS = {
  1000: ["The conversation has ended", "The server has closed this room for you. You can come back at any time."],
  1008: ["The server does not take this", "Something sent from here broke one of its rules."],
  4000: [
    "That name cannot be used",
    "A room’s name has 1 to 128 characters, your own at most 64, and neither has tabs or other control characters, nor any that turn text around.",
  ],
  4001: ["This chat asks who you are", "Enter the token that you were given to come in."],
  4003: ["This room is not open to you", "You may be allowed into another one, or in here with another token."],
  4004: ["There is no chat here", "The server does not know this address."],
  4005: ["You were put out", "Somebody who looks after this chat has ended your connection."],
  4006: ["This room was closed", "Somebody who looks after this chat has closed it. You may choose another one."],
};
const BAD_TOKEN = ["Your token was not taken", "Enter another one to come in."];
/** What a server that can be tried again later says of itself. */
const DELAYS = {
  1012: "The server restarts",
  1013: "The server cannot let you in just now",
  4020: "Your connection was too slow",
  4021: "Some messages could not be brought here",
  4029: "You sent too much at once",
};
const OTHER_ENDING = ["The server has ended the connection", "Trying the same again may end the same way."];

/** A title and a sentence for a final close code. */
export function inWords(code, hasToken) {
  if (code === 4001 && hasToken) return BAD_TOKEN;
  return ENDINGS[code] ?? OTHER_ENDING;
}

/** Why a connection was lost that is tried again; "" where that says nothing to anybody. */
export function delayInWords(code) {
  return DELAYS[code] ?? "";
}

/** The URL of a room's WebSocket; `since` is the position up to which the room is known. */
export function socketAddress(room, name, since) {
  const query = new URLSearchParams({ room, since, ...(name && { name }) });
  // Percent-encoded throughout: not every server takes a plus for a space.
  return `${location.origin.replace("http", "ws")}/ws/chat?${query.toString().replaceAll("+", "%20")}`;
}

/** What to offer the server, beside the subprotocols that bring a token. */
const offer = (tokens) => [SUBPROTOCOL, ...tokens];

/** Bring what waits for a room that is not open any more there, by a connection of its own. What fails waits on. */
export function deliverTo(room, name, tokens, outbox) {
  const socket = new WebSocket(socketAddress(room, name, `0.${NO_EPOCH}`), offer(tokens));
  const giveUp = setTimeout(() => socket.close(DONE), DELIVER_WITHIN);
  const portions = new Portions((portion) => {
    const waiting = new Set(outbox.in(room).map(({ key }) => key));
    for (const { key, text } of portion) if (waiting.has(key)) socket.send(JSON.stringify({ text, key }));
    socket.send(JSON.stringify({ type: "rooms" }));
  });
  socket.addEventListener("close", () => {
    clearTimeout(giveUp);
    portions.stop();
  });
  socket.addEventListener("message", ({ data }) => {
    const { type, key } = JSON.parse(data);
    if (type === "welcome") {
      portions.begin(outbox.in(room));
    } else if (type === "rooms") {
      for (const taken of portions.taken()) outbox.settle(room, taken.key);
      if (!portions.isUnderWay) socket.close(DONE);
    } else if (type === "error" && key !== undefined) {
      portions.failed(key);
    }
  });
}

/** Full jitter: after a restart of the server, its clients do not all come back at once. */
function delayAfter(failures) {
  return Math.random() * Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** failures);
}

/** A server on this machine answers without a network, so being offline is told, but nothing waits for its end. */
function lostState() {
  return navigator.onLine ? "reconnecting" : "offline";
}

/** A WebSocket to the chat that comes back by itself whenever it is lost. */
export class Connection {
  #onFrame;
  #onStatus;
  #address;
  #tokens;
  #socket;
  #listening = new AbortController();
  #failures = 0;
  #welcomedAt = Infinity;
  #retry;
  #deadline;

  /**
   * @param onFrame called with every frame of the server, parsed.
   * @param onStatus called with {state}: "connected"; "reconnecting" or "offline", with `retryAt` (ms since the
   *   epoch) and the `code` of the loss unless an attempt is under way; "closed", with `code` and `reason`, after
   *   which only `open` helps.
   */
  constructor(onFrame, onStatus) {
    this.#onFrame = onFrame;
    this.#onStatus = onStatus;
  }

  /**
   * Connect, leaving whatever was connected before, to the URL that `address` gives at each attempt, with the
   * subprotocols that `tokens` gives.
   */
  open(address, tokens) {
    this.#address = address;
    this.#tokens = tokens;
    this.#failures = 0;
    this.#connect();
  }

  /** Make the next attempt now, where one is being waited for. */
  hurry() {
    if (this.#retry) this.#connect();
  }

  get isConnected() {
    return this.#welcomedAt !== Infinity;
  }

  send(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  /**
   * Send a frame that the server answers. Where nothing at all comes back, the connection is dead, whatever the
   * browser believes: it shows a page neither pings nor a cable that was pulled.
   */
  ask(frame, within = ANSWER_WITHIN) {
    this.send(frame);
    this.#expectAnswer(within);
  }

  #connect() {
    this.#abandon();
    this.#socket = new WebSocket(this.#address(), offer(this.#tokens()));
    const { signal } = this.#listening;
    this.#socket.addEventListener("message", ({ data }) => this.#receive(JSON.parse(data)), { signal });
    this.#socket.addEventListener("close", ({ code, reason }) => this.#lost(code, reason), { signal });
    this.#expectAnswer(ANSWER_WITHIN);
    this.#onStatus({ state: lostState() });
  }

  #receive(frame) {
    clearTimeout(this.#deadline);
    if (frame.type === "welcome") {
      this.#welcomedAt = Date.now();
      this.#onStatus({ state: "connected" });
    }
    this.#onFrame(frame);
  }

  #lost(code, reason) {
    const stable = Date.now() - this.#welcomedAt > STABLE_AFTER;
    this.#abandon();
    if (isFinal(code)) {
      this.#onStatus({ state: "closed", code, reason });
      return;
    }
    const delay = delayAfter(stable ? 0 : this.#failures);
    this.#failures = stable ? 1 : this.#failures + 1;
    this.#retry = setTimeout(() => this.#connect(), delay);
    this.#onStatus({ state: lostState(), retryAt: Date.now() + delay, code });
  }

  #expectAnswer(within) {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#lost(1006, ""), within);
  }

  /** Hear no more from the socket, and forget what was waited for. */
  #abandon() {
    this.#listening.abort();
    this.#listening = new AbortController();
    this.#leave();
    clearTimeout(this.#deadline);
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#welcomedAt = Infinity;
  }

  /** Browsers log an error where a socket is closed while it still connects. */
  #leave() {
    const socket = this.#socket;
    if (socket?.readyState === WebSocket.CONNECTING) socket.addEventListener("open", () => socket.close(DONE));
    else socket?.close(DONE);
  }
}

/** A value that outlives a reload, or only the page where the browser denies storage or has none left. */
export class Kept {
  #area;
  #name;
  #value;

  constructor(area, name, initial) {
    this.#area = area;
    this.#name = `roomcast.${name}`;
    this.#value = this.#read() ?? initial;
    // Another tab has written.
    addEventListener("storage", ({ key, newValue }) => {
      if (key === this.#name && newValue !== null) this.#value = this.#read();
    });
  }

  get value() {
    return this.#value;
  }

  set value(value) {
    this.#value = value;
    try {
      window[this.#area].setItem(this.#name, JSON.stringify(value));
    } catch {
      // It stays in memory.
    }
  }

  #read() {
    try {
      return JSON.parse(window[this.#area].getItem(this.#name));
    } catch {
      return null;
    }
  }
}

function randomId(length) {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Who writes here: a browser (client), one of its tabs, and the name it goes by there. */
export class Identity {
  #client = new Kept("localStorage", "client");
  #tab = new Kept("sessionStorage", "tab");
  #tabName = new Kept("sessionStorage", "name");
  #lastName = new Kept("localStorage", "name", "");
  #given = null;

  constructor() {
    this.#client.value ??= randomId(8);
    this.#tab.value ??= randomId(4);
    this.#tabName.value ??= this.#lastName.value;
  }

  /** The name that it goes by here: one that the server knows it by, or else the chosen one. */
  get name() {
    return this.#given ?? this.#tabName.value;
  }

  /** The name that the server knows it by; null where it takes the chosen one. */
  set given(name) {
    this.#given = name;
  }

  get chosen() {
    return this.#tabName.value;
  }

  set name(name) {
    this.#tabName.value = this.#lastName.value = name;
  }

  /** Random, not counted: a duplicated tab is given a copy of this tab's storage, and would count on alike. */
  newKey() {
    return `${this.#client.value}-${this.#tab.value}-${randomId(8)}`;
  }

  /** Two tabs of one browser are one person, unless they go by different names. */
  wrote({ key = "", from = "" }) {
    const [client, tab] = key.split("-");
    return client === this.#client.value && (tab === this.#tab.value || (from !== "" && from === this.name));
  }
}

/** Offsets of one numbering can be compared, also where the epoch has changed, as the server tells it. */
function numberingOf(epoch) {
  return epoch.split("-")[0];
}

/** What has come of one room, up to which position. */
export class Received {
  #keys = new Set();
  #reached = { offset: 0, epoch: NO_EPOCH };
  /** Where the room was when the connection began: all before it is here only once the server has sent it. */
  #begun = this.#reached;
  #gapIsTold = false;

  /** Where to go on from. Of a room that is new here, the server gives all that it keeps. */
  get position() {
    return `${this.#reached.offset}.${this.#reached.epoch}`;
  }

  /**
   * A connection begins, with the room at this position; `recovered` is false where not all that was missed follows.
   * Returns whether that is to be told: not of a room that is new here, and once, however often it is begun anew.
   */
  resume(position, recovered) {
    this.#begun = position;
    const isGap = recovered === false && this.#reached.epoch !== NO_EPOCH && !this.#gapIsTold;
    this.#gapIsTold ||= isGap;
    return isGap;
  }

  /** All that the server keeps of what was missed has come. */
  caughtUp() {
    this.#reach(this.#begun.offset);
  }

  /** Whether this message had not come before; from now on, it has. */
  isNew({ key, offset }) {
    // What the server could not keep has no offset, and comes only once.
    const isNew = key ? !this.#keys.has(key) : offset === undefined || offset > this.#newest;
    if (offset !== undefined) this.#reach(offset);
    if (key) this.#remember(key);
    return isNew;
  }

  /** The newest offset that has come, as the server counts now. */
  get #newest() {
    return numberingOf(this.#reached.epoch) === numberingOf(this.#begun.epoch) ? this.#reached.offset : 0;
  }

  #reach(offset) {
    this.#reached = { offset: Math.max(this.#newest, offset), epoch: this.#begun.epoch };
    this.#gapIsTold = false;
  }

  #remember(key) {
    this.#keys.add(key);
    if (this.#keys.size > MOST_KEYS) this.#keys.delete(this.#keys.values().next().value);
  }
}
