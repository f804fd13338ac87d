// The floor: an echo and rooms in C, with epoll and nothing else. What it costs, any server on this kernel costs.
//
//     floor PORT
//
// It reads a message to its end, unmasks it where it lies, and sends it back with one call; or, where the request names
// a room (room=00000), to all members of the room, with one call a member for all that came in one turn of epoll. Who
// does not read is lost. It checks nothing: no header of the request, no UTF-8, no order of frames; and it answers
// every handshake as if its key were the sample of RFC 6455, section 1.3, which is what the load sends.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, MAX_EVENTS = 256, MAX_HEADER = 14, MASK = 4, READ_SIZE = 1 << 16, MAX_ROOMS = 100000 };

static const char RESPONSE[] = "HTTP/1.1 101 Switching Protocols\r\n"
                               "Upgrade: websocket\r\n"
                               "Connection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

typedef struct Room Room;

// A connection gets a buffer with the first message that does not come in one piece, and keeps it. The buffer then has
// a message that is not complete, or an answer that did not fit the socket: never both, since a client here waits for
// the answer before it sends on.
typedef struct {
    int fd;
    int is_open;
    Room *room; // NULL: it gets its own messages back
    uint8_t *buffer;
    size_t size, capacity;
    const uint8_t *unsent;
    size_t unsent_size;
} Connection;

struct Room {
    Connection **members;
    size_t member_count, member_capacity;
    uint8_t *frames; // what came in this turn, as it goes out
    size_t size, capacity;
};

static int epoll;
static Room rooms[MAX_ROOMS];
static Room *busy[MAX_EVENTS]; // the rooms that something came for in this turn
static size_t busy_count;

static void watch(Connection *connection, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = connection};
    epoll_ctl(epoll, operation, connection->fd, &event);
}

// Have bytes in the connection's own buffer, which may be where they are, with room for a whole frame.
static void keep(Connection *connection, const uint8_t *bytes, size_t size, size_t room) {
    if (connection->capacity < room) {
        uint8_t *buffer = malloc(room);
        memcpy(buffer, bytes, size);
        free(connection->buffer);
        connection->buffer = buffer;
        connection->capacity = room;
    } else {
        memmove(connection->buffer, bytes, size);
    }
    connection->size = size;
}

static void lose(Connection *connection) {
    Room *room = connection->room;
    for (size_t i = 0; room && i < room->member_count; i++)
        if (room->members[i] == connection) room->members[i] = room->members[--room->member_count];
    close(connection->fd);
    free(connection->buffer);
    free(connection);
}

static void take_connection(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), one = 1;
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    Connection *connection = calloc(1, sizeof *connection);
    connection->fd = fd;
    watch(connection, EPOLL_CTL_ADD, EPOLLIN);
}

static void unmask(uint8_t *payload, size_t size, const uint8_t *mask) {
    uint64_t wide = 0, word;
    memcpy(&wide, mask, MASK);
    wide |= wide << 32;
    size_t at = 0;
    for (; at + sizeof word <= size; at += sizeof word) {
        memcpy(&word, payload + at, sizeof word);
        word ^= wide;
        memcpy(payload + at, &word, sizeof word);
    }
    for (; at < size; at++) payload[at] ^= mask[at & 3];
}

// How long the frame at `bytes` is, header included, as far as its first bytes tell: 0 if they do not.
static size_t frame_size(const uint8_t *bytes, size_t size, size_t *header) {
    if (size < 2) return 0;
    uint8_t length = bytes[1] & 127;
    size_t length_size = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (size < 2 + length_size) return 0;
    uint64_t payload = length_size ? 0 : length;
    for (size_t i = 0; i < length_size; i++) payload = payload << 8 | bytes[2 + i];
    *header = 2 + length_size;
    return *header + MASK + payload;
}

// What goes out has the same header without the mask: it fits in front of the payload where the mask was.
static uint8_t *outgoing(uint8_t *frame, size_t size, size_t header) {
    unmask(frame + header + MASK, size - header - MASK, frame + header);
    uint8_t *start = frame + MASK;
    memmove(start, frame, header);
    start[1] &= 127;
    return start;
}

static void answer(Connection *connection, const uint8_t *start, size_t size) {
    ssize_t sent = send(connection->fd, start, size, MSG_NOSIGNAL);
    if (sent == (ssize_t)size) return;
    connection->unsent = sent < 0 ? start : start + sent;
    connection->unsent_size = sent < 0 ? size : size - (size_t)sent;
    if (!connection->capacity) {
        keep(connection, connection->unsent, connection->unsent_size, connection->unsent_size);
        connection->unsent = connection->buffer;
    }
    watch(connection, EPOLL_CTL_MOD, EPOLLOUT);
}

static void answer_rest(Connection *connection) {
    ssize_t sent = send(connection->fd, connection->unsent, connection->unsent_size, MSG_NOSIGNAL);
    if (sent < 0) return;
    connection->unsent += sent;
    connection->unsent_size -= (size_t)sent;
    if (!connection->unsent_size) watch(connection, EPOLL_CTL_MOD, EPOLLIN);
}

static void join(Connection *connection, Room *room) {
    if (room->member_count == room->member_capacity) {
        room->member_capacity = room->member_capacity ? room->member_capacity * 2 : 2;
        room->members = realloc(room->members, room->member_capacity * sizeof *room->members);
    }
    room->members[room->member_count++] = connection;
    connection->room = room;
}

static void publish(Room *room, const uint8_t *frame, size_t size) {
    if (room->size + size > room->capacity) {
        room->capacity = (room->size + size) * 2;
        room->frames = realloc(room->frames, room->capacity);
    }
    memcpy(room->frames + room->size, frame, size);
    if (!room->size) busy[busy_count++] = room;
    room->size += size;
}

static void deliver(Room *room) {
    for (size_t i = room->member_count; i-- > 0;) {
        Connection *member = room->members[i];
        if (send(member->fd, room->frames, room->size, MSG_NOSIGNAL) != (ssize_t)room->size) lose(member);
    }
    room->size = 0;
}

static void receive_request(Connection *connection, const uint8_t *bytes, size_t size) {
    if (!memmem(bytes, size, "\r\n\r\n", 4)) return; // the load sends it in one piece
    connection->is_open = 1;
    const uint8_t *name = memmem(bytes, size, "?room=", 6);
    if (name) join(connection, &rooms[atoi((const char *)name + 6) % MAX_ROOMS]);
    send(connection->fd, RESPONSE, sizeof RESPONSE - 1, MSG_NOSIGNAL);
}

static void receive(Connection *connection) {
    static uint8_t shared[READ_SIZE];
    uint8_t *bytes = connection->capacity ? connection->buffer : shared;
    size_t room = (connection->capacity ? connection->capacity : sizeof shared) - connection->size;
    ssize_t received = recv(connection->fd, bytes + connection->size, room, 0);
    if (received < 0 && errno == EAGAIN) return;
    if (received <= 0) {
        lose(connection);
        return;
    }
    size_t size = connection->size + (size_t)received;
    if (!connection->is_open) {
        receive_request(connection, bytes, size);
        return;
    }
    size_t header, frame;
    connection->size = 0;
    while ((frame = frame_size(bytes, size, &header)) && frame <= size) {
        uint8_t *start = outgoing(bytes, frame, header);
        if (connection->room)
            publish(connection->room, start, frame - MASK);
        else
            answer(connection, start, frame - MASK);
        bytes += frame;
        size -= frame;
    }
    if (size) keep(connection, bytes, size, frame ? frame : MAX_HEADER);
}

int main(int argument_count, char **arguments) {
    if (argument_count != 2) return 2;
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, BACKLOG)) {
        perror("listen");
        return 1;
    }
    epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[MAX_EVENTS];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll, events, MAX_EVENTS, -1);
        for (int i = 0; i < count; i++) {
            Connection *connection = events[i].data.ptr;
            if (!connection)
                take_connection(listener);
            else if (events[i].events & EPOLLOUT)
                answer_rest(connection);
            else
                receive(connection);
        }
        while (busy_count) deliver(busy[--busy_count]);
    }
}
