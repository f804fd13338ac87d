/** The chat: one room at a time, under one name. */

import { Composer } from "/composer.js";
import { Connection, deliverTo, Identity, Kept, Received, socketAddress } from "/connection.js";
import { Members, RoomList } from "/lists.js";
import { Outbox, Portions } from "/outbox.js";
import { Status } from "/status.js";
import { Token } from "/token.js";
import { addressOf, byId, Log, roomOfAddress, tint } from "/view.js";

const FIRST_ROOM = "general";
const MOST_ROOMS = 50;
const ROOMS_EVERY = 15_000;
const OFFLINE_ANSWER_WITHIN = 2_000;
const ERROR_STAYS = 8_000;
const UNSENT = "The server could not send your message. It waits here, and is tried again.";
const UNSEEN = "What was said here before is not shown to you.";
const FORBIDDEN = 4003;
const EVERYTHING = ["join", "publish", "presence", "history"];
const MISSING = "Some messages may be missing here: the server no longer has them.";

/** A panel that stands beside the chat on a wide screen and slides over it on a narrow one. */
class Drawer {
  #panel;
  #opener;

  constructor(panel, opener) {
    this.#panel = panel;
    this.#opener = opener;
    opener.addEventListener("click", () => this.open());
    panel.querySelector(".close-panel").addEventListener("click", () => this.close());
    byId("scrim").addEventListener("click", () => this.close());
    addEventListener("keydown", ({ key }) => key === "Escape" && this.close());
    // Once the screen is wide enough for the panel, its opener is not shown.
    new ResizeObserver(() => opener.checkVisibility() || this.close()).observe(document.body);
  }

  open() {
    if (!this.#opener.checkVisibility()) return;
    this.#set(true);
    this.#panel.focus();
  }

  close() {
    if (!this.#panel.classList.contains("open")) return;
    this.#set(false);
    this.#opener.focus();
  }

  #set(isOpen) {
    this.#panel.classList.toggle("open", isOpen);
    this.#opener.ariaExpanded = String(isOpen);
    for (const other of document.querySelectorAll("body > :is(.skip, .panel, .sheet)")) {
      other.inert = isOpen && other !== this.#panel;
    }
  }
}

class Chat {
  #identity = new Identity();
  #visited = new Kept("localStorage", "rooms", []);
  #drafts = new Kept("sessionStorage", "drafts", []);
  #outbox = new Outbox(new Kept("sessionStorage", "pending", []));
  #portions = new Portions((messages) => this.#send(messages));
  #log = new Log((key) => this.#discard(key));
  #members = new Members((count) => this.#countHere(count));
  #token = new Token((token) => this.#enterToken(token), () => this.#status.askForToken());
  #status = new Status(this.#token);
  #roomList = new RoomList((room) => this.#go(room), (room) => this.#forget(room));
  #composer = new Composer({
    onSay: (text) => this.#say(text),
    onDraft: (text) => this.#keepDraft(text),
    onName: (name) => this.#rename(name),
  });
  #roomsDrawer = new Drawer(byId("rooms"), byId("rooms-button"));
  #connection = new Connection((frame) => this.#receive(frame), (status) => this.#tell(status));
  #received;
  #room;
  #selfId;
  #activeRooms = [];
  #unanswered = 0;
  #hasUnsent = false;
  #freshToken;
  #isUnseenTold = false;
  #unread = 0;
  #errorFades;

  start() {
    new Drawer(byId("people"), byId("people-button"));
    this.#composer.name = this.#identity.name;
    this.#listen();
    this.#enter(roomOfAddress());
    history.replaceState(null, "", addressOf(this.#room));
    setInterval(() => this.#refresh(), ROOMS_EVERY);
  }

  #listen() {
    // Following the skip link is a popstate, too, and leads to the same room.
    addEventListener("popstate", () => roomOfAddress() === this.#room || this.#enter(roomOfAddress()));
    addEventListener("online", () => this.#connection.hurry());
    addEventListener("offline", () => this.#askForRooms(OFFLINE_ANSWER_WITHIN));
    document.addEventListener("visibilitychange", () => document.hidden || this.#look());
    byId("rooms-button").addEventListener("click", () => this.#askForRooms());
    byId("try-now").addEventListener("click", () => this.#connection.hurry());
    byId("try-again").addEventListener("click", () => this.#connect());
    byId("use-token").addEventListener("click", () => {
      this.#token.isAsked = true;
      byId("token-input").focus();
    });
    byId("change-name").addEventListener("click", () => this.#composer.focusName());
    byId("choose-room").addEventListener("click", () => {
      this.#roomsDrawer.open();
      byId("new-room-input").focus();
    });
    byId("new-room").addEventListener("submit", (event) => {
      event.preventDefault();
      const field = byId("new-room-input");
      this.#go(field.value.trim().replace(/^#/u, "") || FIRST_ROOM);
      field.value = "";
    });
  }

  #refresh() {
    if (this.#hasUnsent && this.#connection.isConnected) this.#sendPending();
    else if (!document.hidden) this.#askForRooms();
  }

  /** Somebody looks at the page again. */
  #look() {
    this.#showUnread(0);
    this.#connection.hurry();
    this.#refresh();
  }

  #go(room) {
    this.#roomsDrawer.close();
    if (room !== this.#room) {
      history.pushState(null, "", addressOf(room));
      this.#enter(room);
    }
    if (matchMedia("(pointer: fine)").matches) this.#composer.focus();
  }

  #enter(room) {
    this.#room = room;
    this.#received = new Received();
    this.#isUnseenTold = false;
    this.#composer.text = new Map(this.#drafts.value).get(room) ?? "";
    this.#showUnread(0);
    this.#log.clear();
    for (const message of this.#outbox.in(room)) this.#log.addPending(message);
    this.#members.reset([], 0);
    this.#showRooms();
    byId("room-name").textContent = room;
    byId("second-tab").href = addressOf(room);
    tint(document.documentElement, room);
    this.#connect();
  }

  #connect() {
    this.#connection.open(
      () => socketAddress(this.#room, this.#identity.chosen, this.#received.position),
      () => this.#token.subprotocols,
    );
  }

  /** Connected, the fresh token takes the place of the one that ends; it is kept once the server has taken it. */
  #enterToken(token) {
    if (this.#connection.isConnected) {
      this.#freshToken = token;
      this.#connection.send({ type: "token", token });
    } else {
      this.#token.value = token;
      this.#connect();
    }
  }

  #tell(status) {
    if (status.state !== "connected") this.#token.forgetEnd();
    this.#status.show(status);
    this.#composer.isOpen = status.state !== "closed";
  }

  #receive(frame) {
    switch (frame.type) {
      case "welcome": return this.#welcomed(frame);
      case "message": return this.#heard(frame);
      case "system": return this.#noticed(frame);
      case "rooms": return this.#counted(frame.rooms);
      case "token": return this.#tokenTaken(frame);
      case "error": return this.#failed(frame);
    }
  }

  #welcomed({ id, members, count, rooms, position, recovered, may = EVERYTHING, name = null, expires = null }) {
    this.#selfId = id;
    this.#unanswered = 0;
    this.#remember(this.#room);
    this.#takeStanding(may, name, expires);
    if (this.#received.resume(position, recovered)) this.#log.addGap(MISSING);
    // The server names only some of a crowd.
    this.#members.reset([{ id, name: this.#identity.name || null }, ...members], count, id);
    this.#activeRooms = rooms;
    this.#showRooms();
    this.#sendPending();
    for (const other of this.#outbox.rooms) {
      if (other !== this.#room) deliverTo(other, this.#identity.chosen, this.#token.subprotocols, this.#outbox);
    }
  }

  /** What the server lets this page do, under which name, and until when. */
  #takeStanding(may, name, expires) {
    this.#identity.given = name;
    this.#composer.name = this.#identity.name;
    this.#composer.hasGivenName = name !== null;
    this.#composer.mayWrite = may.includes("publish");
    document.body.dataset.may = may.join(" ");
    this.#members.isShown = may.includes("presence");
    this.#token.endsAt(expires);
    if (may.includes("history") || this.#isUnseenTold) return;
    this.#isUnseenTold = true;
    this.#log.addNotice(UNSEEN);
  }

  #tokenTaken({ expires }) {
    this.#token.value = this.#freshToken;
    this.#freshToken = undefined;
    this.#token.endsAt(expires);
    this.#status.tokenTaken();
  }

  /** Send again what has no echo. */
  #sendPending() {
    this.#hasUnsent = false;
    this.#portions.begin(this.#outbox.in(this.#room));
  }

  /** The server answers in order: once it has told the rooms, it has sent what was missed, and taken these. */
  #send(messages) {
    if (!this.#connection.isConnected) return;
    for (const { key, text } of messages) {
      this.#log.markUnsent(key, false);
      this.#connection.send({ text, key });
    }
    this.#askForRooms();
  }

  #heard(message) {
    this.#settle(message.key);
    if (!this.#received.isNew(message)) return;
    const own = this.#identity.wrote(message);
    this.#log.add({ ...message, own });
    if (document.hidden && !own) this.#showUnread(this.#unread + 1);
  }

  #noticed(event) {
    if (event.id === this.#selfId) return;
    if (event.event === "join") this.#members.join(event.id, event.name);
    if (event.event === "leave") this.#members.leave(event.id);
    if (event.event) this.#log.addPresence(event);
    else this.#log.addNotice(event.message);
  }

  #counted(rooms) {
    this.#received.caughtUp();
    this.#log.settled();
    this.#unanswered -= 1;
    if (this.#unanswered === 0) for (const message of this.#portions.taken()) this.#heard(message);
    this.#activeRooms = rooms;
    this.#showRooms();
  }

  /** Something was not taken. A message that could not be sent waits on, and is tried again, unless it may not be. */
  #failed({ message, key, code }) {
    if (this.#freshToken && code !== undefined && key === undefined) {
      this.#freshToken = undefined;
      this.#status.askForToken(message);
      return;
    }
    if (code === FORBIDDEN && key !== undefined) {
      this.#settle(key);
      this.#log.removePending(key);
      this.#warn(message);
      return;
    }
    const waits = this.#outbox.in(this.#room).some((other) => other.key === key);
    if (waits) this.#portions.failed(key);
    this.#hasUnsent ||= waits;
    this.#log.markUnsent(key, true);
    this.#warn(waits ? UNSENT : message);
  }

  #warn(message) {
    const place = byId("error");
    place.textContent = message;
    place.hidden = false;
    clearTimeout(this.#errorFades);
    this.#errorFades = setTimeout(() => (place.hidden = true), ERROR_STAYS);
  }

  /** Returns whether the message was taken. */
  #say(text) {
    if (this.#outbox.isFull(this.#room)) {
      this.#warn("Too many messages wait to be sent. Yours stays here until some of them are.");
      return false;
    }
    const { name } = this.#identity;
    const message = { key: this.#identity.newKey(), text, from: name || undefined, time: Date.now() / 1000 };
    this.#outbox.add(this.#room, message);
    this.#log.addPending(message);
    this.#log.scrollToBottom();
    if (this.#portions.isUnderWay) this.#portions.add(message);
    else if (this.#connection.isConnected) this.#connection.send({ text, key: message.key });
    return true;
  }

  /** Nothing is to be sent any more for `key`. */
  #settle(key) {
    this.#outbox.settle(this.#room, key);
    this.#portions.drop(key);
  }

  #discard(key) {
    this.#settle(key);
    this.#log.removePending(key);
    this.#composer.focus();
  }

  #keepDraft(text) {
    const drafts = new Map(this.#drafts.value).set(this.#room, text);
    this.#drafts.value = [...drafts].filter(([, draft]) => draft);
  }

  #rename(name) {
    if (name === this.#identity.name) return;
    this.#identity.name = name;
    this.#connect();
  }

  #remember(room) {
    this.#visited.value = [room, ...this.#visited.value.filter((other) => other !== room)].slice(0, MOST_ROOMS);
  }

  #forget(room) {
    this.#visited.value = this.#visited.value.filter((other) => other !== room);
    this.#showRooms();
  }

  #askForRooms(within) {
    if (!this.#connection.isConnected) return;
    this.#unanswered += 1;
    this.#connection.ask({ type: "rooms" }, within);
  }

  /** The room's own count is fresher than the list's. */
  #countHere(count) {
    if (!this.#connection.isConnected) return;
    const others = this.#activeRooms.filter(({ name }) => name !== this.#room);
    this.#activeRooms = [...others, { name: this.#room, count }];
    this.#showRooms();
  }

  #showRooms() {
    // A room that was not entered yet may be refused: it is remembered once it is.
    const known = new Set([this.#room, ...this.#visited.value]);
    const rooms = new Map([...known].map((name) => [name, { name, isRemembered: true }]));
    for (const { name, count } of this.#activeRooms) rooms.set(name, { ...rooms.get(name), name, count });
    this.#roomList.show([...rooms.values()], this.#room);
  }

  #showUnread(count) {
    this.#unread = count;
    document.title = `${count ? `(${count}) ` : ""}${this.#room} · Roomcast`;
  }
}

new Chat().start();
