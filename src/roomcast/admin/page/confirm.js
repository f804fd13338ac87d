/** The second question before anything is done: a dialog that says what will happen, and to whom. */

const byId = (id) => document.getElementById(id);
const utf8 = new TextEncoder();

export class Confirm {
  #dialog = byId("confirm");
  #input = byId("confirm-input");
  #yes = byId("confirm-yes");
  #error = byId("confirm-error");
  #question;
  #onYes;

  /** @param onYes called with (question, text) at the second yes; what it rejects with is told in the dialog. */
  constructor(onYes) {
    this.#onYes = onYes;
    byId("confirm-no").addEventListener("click", () => this.#dialog.close());
    this.#dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#go();
    });
  }

  /**
   * @param question {title, text, label, yes, isNeeded, most, action}: `label` of the text to be typed, whether it
   *   is needed, and the most characters (for a notice) or bytes (for a reason) it has; `action` is made of the text.
   */
  ask(question) {
    this.#question = question;
    byId("confirm-title").textContent = question.title;
    byId("confirm-text").textContent = question.text;
    byId("confirm-label").textContent = question.label;
    this.#yes.textContent = question.yes;
    this.#input.value = "";
    this.#input.rows = question.isNeeded ? 4 : 1;
    this.#input.required = question.isNeeded;
    this.#error.textContent = "";
    this.#yes.disabled = false;
    this.#dialog.showModal();
    // What is not to be undone is never under the first Enter.
    (question.isNeeded ? this.#input : byId("confirm-no")).focus();
  }

  async #go() {
    const { isNeeded, most, action } = this.#question;
    const text = this.#input.value.trim();
    if (isNeeded && !text) {
      this.#error.textContent = "Write something first.";
      this.#input.focus();
      return;
    }
    const size = isNeeded ? text.length : utf8.encode(text).length;
    if (size > most) {
      this.#error.textContent = `This is too long: ${size} of at most ${most} ${isNeeded ? "characters" : "bytes"}.`;
      return;
    }
    this.#yes.disabled = true;
    try {
      await this.#onYes(action(text));
      this.#dialog.close();
    } catch (error) {
      this.#error.textContent = error.message;
    } finally {
      this.#yes.disabled = false;
    }
  }
}
