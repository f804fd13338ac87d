/** The lists beside the log: who is here, and the rooms to choose from. */

import { addressOf, byId, drawAvatar, fromTemplate, NAMELESS, plural, tint } from "/view.js";

const MOST_MEMBERS = 200;

const { compare: byName } = new Intl.Collator(undefined, { numeric: true });

/** Make the children of `list` those of `items`, moving only what has to move, so that the focus stays. */
function arrange(list, items, create, update) {
  const keys = new Set(items.map(({ key }) => key));
  const present = new Map();
  for (const element of [...list.children]) {
    if (keys.has(element.dataset.key)) present.set(element.dataset.key, element);
    else element.remove();
  }
  items.forEach((item, index) => {
    const element = present.get(item.key) ?? create();
    element.dataset.key = item.key;
    update(element, item);
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
  });
}

/** Who is here. Of a crowd only some are known by name, the others are counted. */
export class Members {
  #names = new Map();
  #others = 0;
  #selfId;
  #isShown = true;
  #drawing;
  #onCount;

  /** @param onCount called with the number of all, whenever it is drawn anew. */
  constructor(onCount) {
    this.#onCount = onCount;
  }

  reset(members, count, selfId) {
    this.#names = new Map(members.map(({ id, name }) => [id, name]));
    this.#others = Math.max(0, count - this.#names.size);
    this.#selfId = selfId;
    this.#draw();
  }

  /** Whether the server tells who is here; where not, only oneself is known. */
  set isShown(isShown) {
    this.#isShown = isShown;
    this.#draw();
  }

  join(id, name) {
    if (this.#names.size < MOST_MEMBERS) this.#names.set(id, name);
    else if (!this.#names.has(id)) this.#others += 1;
    this.#draw();
  }

  leave(id) {
    if (!this.#names.delete(id)) this.#others = Math.max(0, this.#others - 1);
    this.#draw();
  }

  /** A thousand may join at once: drawn once a frame, not once each. */
  #draw() {
    this.#drawing ??= requestAnimationFrame(() => this.#drawNow());
  }

  #drawNow() {
    this.#drawing = undefined;
    arrange(byId("members"), this.#inOrder(), () => fromTemplate("member"), (element, { name, isSelf }) => {
      drawAvatar(element.querySelector(".avatar"), name);
      element.querySelector(".name").textContent = name ?? NAMELESS;
      element.querySelector(".you").hidden = !isSelf;
    });
    const count = this.#names.size + this.#others;
    for (const place of document.querySelectorAll("[data-people-count]")) place.textContent = count.toLocaleString();
    byId("unseen-members").hidden = this.#isShown;
    byId("more-members").hidden = this.#others === 0;
    byId("more-members").textContent = `and ${plural(this.#others, "other")}`;
    this.#onCount(count);
  }

  #inOrder() {
    const members = [...this.#names].map(([key, name]) => ({ key, name, isSelf: key === this.#selfId }));
    return members.sort(
      (a, b) => b.isSelf - a.isSelf || (a.name === null) - (b.name === null) || byName(a.name ?? "", b.name ?? ""),
    );
  }
}

/** The rooms to choose from. */
export class RoomList {
  #list = byId("room-list");

  constructor(onEnter, onForget) {
    this.#list.addEventListener("click", (event) => {
      const { room } = event.target.closest("li")?.querySelector("a").dataset ?? {};
      if (event.target.closest(".forget")) onForget(room);
      if (!event.target.closest("a") || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      onEnter(room);
    });
  }

  /** @param rooms a list of {name, count, isRemembered}; `count` is absent where nobody is in the room. */
  show(rooms, current) {
    const items = rooms.map((room) => ({ key: room.name, ...room })).sort((a, b) => byName(a.name, b.name));
    arrange(this.#list, items, () => fromTemplate("room"), (element, room) => this.#drawRoom(element, room, current));
  }

  #drawRoom(element, { name, count, isRemembered }, current) {
    const [link, forget] = element.children;
    link.dataset.room = name;
    link.href = addressOf(name);
    link.ariaCurrent = name === current ? "page" : null;
    tint(link, name);
    link.querySelector(".name").textContent = name;
    link.querySelector(".count").textContent = count ? count.toLocaleString() : "";
    link.ariaLabel = count ? `${name}, ${plural(count, "person", "people")} here` : null;
    forget.hidden = !isRemembered || name === current || Boolean(count);
    forget.ariaLabel = `Forget ${name}`;
  }
}
