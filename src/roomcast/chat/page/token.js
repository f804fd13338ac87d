/** The token of a chat that wants one: kept in this tab alone, asked for where it is needed, and before it ends. */

import { Kept } from "/connection.js";
import { byId } from "/view.js";

const SUBPROTOCOL = "roomcast.token.";
const FORM_OF_TOKENS = /^[\w-]+\.[\w-]+\.[\w-]+$/u;
const NO_TOKEN = "This is no token: one has three parts of letters and digits, with dots between them.";
const ASKED_BEFORE = 60_000;
const LONGEST_TIMER = 2 ** 31 - 1;

export class Token {
  #kept = new Kept("sessionStorage", "token", "");
  #form = byId("token-form");
  #field = byId("token-input");
  #ends;
  #onEnd;

  /**
   * @param onToken called with a token that somebody has entered.
   * @param onEnd called a minute before the token ends.
   */
  constructor(onToken, onEnd) {
    this.#onEnd = onEnd;
    this.#field.addEventListener("input", () => this.#field.setCustomValidity(""));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const token = this.#field.value.trim().replace(/^bearer\s+/iu, "");
      if (!FORM_OF_TOKENS.test(token)) {
        this.#field.setCustomValidity(NO_TOKEN);
        this.#field.reportValidity();
        return;
      }
      this.#field.value = "";
      onToken(token);
    });
  }

  get value() {
    return this.#kept.value;
  }

  set value(token) {
    this.#kept.value = token;
  }

  /** What is offered beside the real subprotocol: a script can set no header, and an address is written down. */
  get subprotocols() {
    return this.value ? [SUBPROTOCOL + this.value] : [];
  }

  /** Show the form, or hide it. */
  set isAsked(isAsked) {
    this.#form.hidden = !isAsked;
    if (isAsked && document.activeElement === document.body) this.#field.focus();
  }

  /** @param seconds when it ends, since the epoch; null for never. */
  endsAt(seconds) {
    clearTimeout(this.#ends);
    if (seconds === null) return;
    const wait = seconds * 1000 - Date.now() - ASKED_BEFORE;
    const look = () => (wait > LONGEST_TIMER ? this.endsAt(seconds) : this.#onEnd());
    this.#ends = setTimeout(look, Math.max(0, Math.min(wait, LONGEST_TIMER)));
  }

  /** No end is waited for any more: nothing is connected. */
  forgetEnd() {
    clearTimeout(this.#ends);
  }
}
