/** Writing: the message, and the name that it goes by. */

import { byId, drawAvatar } from "/view.js";

const MOST_CHARACTERS = 4000;
const COUNTED_FROM = 3800;
const READ_ONLY = "You can read here, but not write";

/** The field to write in, the name beside it, and the button. */
export class Composer {
  #form = byId("composer-form");
  #field = byId("composer");
  #name = byId("name-input");
  #handlers;
  #isOpen = true;
  #mayWrite = true;
  #invitation = this.#field.placeholder;

  /** @param handlers {onSay(text), onDraft(text), onName(name)}. */
  constructor(handlers) {
    this.#handlers = handlers;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#say();
    });
    this.#field.addEventListener("input", () => {
      this.#fit();
      this.#handlers.onDraft(this.#field.value);
    });
    this.#field.addEventListener("keydown", (event) => {
      // An Enter that ends the composition of a word (IME) sends nothing; Safari tells it only by keyCode.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.#say();
    });
    this.#name.addEventListener("input", () => drawAvatar(byId("own-avatar"), this.#name.value.trim()));
    this.#name.addEventListener("change", () => {
      this.name = this.#name.value.trim();
      this.#handlers.onName(this.#name.value);
    });
    this.#name.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      this.#field.focus();
    });
  }

  set text(text) {
    this.#field.value = text;
    this.#fit();
  }

  set name(name) {
    this.#name.value = name;
    drawAvatar(byId("own-avatar"), name);
  }

  /** Closed, it still takes a draft, but sends nothing. */
  set isOpen(isOpen) {
    this.#isOpen = isOpen;
    this.#fit();
  }

  /** Whether the server lets this page write in the room. */
  set mayWrite(mayWrite) {
    this.#mayWrite = mayWrite;
    this.#field.readOnly = !mayWrite;
    this.#field.placeholder = mayWrite ? this.#invitation : READ_ONLY;
    this.#fit();
  }

  /** Whether the name is the server's to say, and nobody's to change here. */
  set hasGivenName(isGiven) {
    this.#name.readOnly = isGiven;
  }

  focus() {
    this.#field.focus();
  }

  focusName() {
    this.#name.focus();
    this.#name.select();
  }

  #say() {
    const text = this.#field.value.trimEnd();
    if (!text || byId("send").disabled || !this.#handlers.onSay(text)) return;
    this.text = "";
    this.#handlers.onDraft("");
  }

  #fit() {
    this.#field.style.height = "auto";
    this.#field.style.height = `${this.#field.scrollHeight}px`;
    // As the server counts: characters, not UTF-16 units.
    const count = [...this.#field.value.trimEnd()].length;
    const counter = byId("counter");
    counter.hidden = count < COUNTED_FROM;
    counter.textContent = `${count.toLocaleString()} of ${MOST_CHARACTERS.toLocaleString()}`;
    counter.classList.toggle("over", count > MOST_CHARACTERS);
    byId("send").disabled = !this.#isOpen || !this.#mayWrite || count > MOST_CHARACTERS;
  }
}
