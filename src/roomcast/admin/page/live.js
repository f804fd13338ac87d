/** The way to the server: the token first, then what is looked at and what is asked for; it comes back when lost. */

const SUBPROTOCOL = "roomcast.admin.v1";
const FIRST_DELAY = 500;
const LONGEST_DELAY = 10_000;
const SILENCE = 10_000;
const DONE = 1000;
const WRONG_TOKEN = 4001;
const TOO_MANY_TRIES = 4029;

export class Live {
  #on;
  #token;
  #view;
  #socket;
  #listening = new AbortController();
  #retry;
  #silence;
  #failures = 0;
  #number = 0;
  #asked = new Map();
  isOpen = false;

  /** @param on functions: state(message), trouble(text), status(name, detail), refused(text). */
  constructor(on) {
    this.#on = on;
    addEventListener("online", () => this.#retry && this.#connect());
  }

  open(token, view) {
    this.#token = token;
    this.#view = view;
    this.#failures = 0;
    this.#connect();
  }

  close() {
    this.#token = undefined;
    this.#abandon();
  }

  /** Look at something else, at once where connected. */
  look(view) {
    this.#view = view;
    if (this.isOpen) this.#send({ type: "view", ...view });
  }

  /** Have something done: resolves with what was done, rejects with why it was not. */
  ask(action) {
    if (!this.isOpen) return Promise.reject(new Error("Nothing was done: the server is not connected just now."));
    const id = ++this.#number;
    this.#send({ ...action, id });
    return new Promise((resolve, reject) => this.#asked.set(id, { resolve, reject }));
  }

  #send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  #connect() {
    this.#abandon();
    this.#on.status(navigator.onLine ? "connecting" : "offline");
    const address = new URL("live", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    address.search = address.hash = "";
    this.#socket = new WebSocket(address, SUBPROTOCOL);
    const { signal } = this.#listening;
    this.#socket.addEventListener("open", () => this.#send({ type: "token", token: this.#token }), { signal });
    this.#socket.addEventListener("message", ({ data }) => this.#receive(JSON.parse(data)), { signal });
    this.#socket.addEventListener("close", ({ code, reason }) => this.#lost(code, reason), { signal });
    this.#expectMore();
  }

  #receive(message) {
    this.#expectMore();
    switch (message.type) {
      case "welcome":
        this.isOpen = true;
        this.#failures = 0;
        this.#on.status("connected");
        this.look(this.#view);
        break;
      case "state":
        this.#on.state(message);
        break;
      case "trouble":
        this.#on.trouble(message.message);
        break;
      case "done":
        this.#asked.get(message.id)?.resolve(message.message);
        this.#asked.delete(message.id);
        break;
      case "failed":
        this.#asked.get(message.id)?.reject(new Error(message.message));
        this.#asked.delete(message.id);
    }
  }

  #lost(code, reason) {
    this.#abandon();
    if (code === WRONG_TOKEN || code === TOO_MANY_TRIES) {
      this.#on.refused(code === WRONG_TOKEN ? "That is not the token." : "Too many wrong tokens came from here. Wait a minute.");
      return;
    }
    const delay = FIRST_DELAY + Math.random() * Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.#failures++);
    this.#retry = setTimeout(() => this.#connect(), delay);
    this.#on.status(navigator.onLine ? "reconnecting" : "offline", reason);
  }

  /** A state comes every second: where nothing comes at all, the connection is dead, whatever the browser believes. */
  #expectMore() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#lost(1006, ""), SILENCE);
  }

  #abandon() {
    this.isOpen = false;
    clearTimeout(this.#retry);
    clearTimeout(this.#silence);
    this.#retry = undefined;
    this.#listening.abort();
    this.#listening = new AbortController();
    const socket = this.#socket;
    // Browsers log an error where a socket is closed while it still connects.
    if (socket?.readyState === WebSocket.CONNECTING) socket.addEventListener("open", () => socket.close(DONE));
    else socket?.close(DONE);
    for (const { reject } of this.#asked.values()) {
      reject(new Error("The connection was lost before the server answered: look whether it was done."));
    }
    this.#asked.clear();
  }
}
