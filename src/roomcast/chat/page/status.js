/** What the page says of its connection. */

import { delayInWords, inWords, STATE_NAMES } from "/connection.js";
import { byId } from "/view.js";

const UNAUTHORIZED = 4001;
const FORBIDDEN = 4003;
const ENDS_SOON = ["Your token ends within a minute", "Enter a fresh one to stay."];

/** How the connection stands: a line that counts down, and a banner once it has ended for good. */
export class Status {
  #line = byId("status");
  #ticking;
  #wasConnected = false;
  #token;

  constructor(token) {
    this.#token = token;
  }

  show({ state, retryAt, code, reason }) {
    clearInterval(this.#ticking);
    this.#wasConnected ||= state === "connected";
    this.#line.dataset.state = document.body.dataset.state = state;
    const isFirst = state === "reconnecting" && !retryAt && !this.#wasConnected;
    const why = state === "closed" ? "" : delayInWords(code);
    this.#say(isFirst ? "Connecting…" : why ? `${why}. ${STATE_NAMES[state]}` : STATE_NAMES[state]);
    byId("try-now").hidden = isFirst || state === "connected" || state === "closed";
    this.#countDown(retryAt);
    if (retryAt) this.#ticking = setInterval(() => this.#countDown(retryAt), 250);
    if (state !== "closed") {
      byId("banner").hidden = true;
      return;
    }
    const isUnknown = code === UNAUTHORIZED;
    this.#tell(inWords(code, Boolean(this.#token.value)), isUnknown && !this.#token.value ? "" : reason);
    this.#askForToken(isUnknown);
    byId("use-token").hidden = code !== FORBIDDEN;
    byId("change-name").hidden = code === FORBIDDEN;
  }

  /** The token ends soon, or the fresh one was not taken. */
  askForToken(reason = "") {
    this.#tell(ENDS_SOON, reason);
    this.#askForToken(true);
  }

  /** There is nothing to ask any more. */
  tokenTaken() {
    byId("banner").hidden = true;
  }

  #askForToken(isAsked) {
    this.#token.isAsked = isAsked;
    byId("banner").classList.toggle("asks", isAsked);
    byId("banner-actions").hidden = isAsked;
  }

  #tell([title, text], reason) {
    byId("banner-title").textContent = title;
    byId("banner-text").textContent = text;
    byId("banner-reason").textContent = reason ? `The server says: ${reason}` : "";
    byId("banner").hidden = false;
  }

  /** A screen reader reads it out again for every attempt, unless it is left alone. */
  #say(label) {
    const place = byId("status-label");
    if (place.textContent !== label) place.textContent = label;
  }

  #countDown(retryAt) {
    const seconds = Math.max(1, Math.ceil((retryAt - Date.now()) / 1000));
    byId("countdown").textContent = retryAt ? ` in ${seconds} s` : "";
  }
}
