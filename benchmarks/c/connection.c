// The load's connections: opening them, sending on them, and taking what comes.
#define _GNU_SOURCE
#include "load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 50, MAX_HEAD = 16384, MAX_EVENTS = 256, READ_SIZE = 65536 };
enum { CONTROL = 8, CLOSE = 8, PING = 9, LAST = 0x80 };

Connection *connections;
size_t connection_count;
Frame *frames;
size_t frame_count;
void (*message_came)(Connection *connection);
void (*look_at)(Connection *connection, const uint8_t *payload, size_t size);
uint64_t received_at, bytes_received;
Connection *watched;

static struct sockaddr_in address = {.sin_family = AF_INET};
static int epoll;
static Frame request;
static uint8_t *room_number; // where the request has it

void use_port(int port) {
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    epoll = epoll_create1(0);
}

// Sending.

static void watch(Connection *connection, int operation) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(connection - connections)};
    if (connection->unsent_size) event.events |= EPOLLOUT;
    epoll_ctl(epoll, operation, connection->fd, &event);
}

size_t send_some(Connection *connection, const uint8_t *bytes, size_t size) {
    ssize_t sent = send(connection->fd, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) fail("sending failed: %s", strerror(errno));
    return sent < 0 ? 0 : (size_t)sent;
}

static void send_rest(Connection *connection) {
    size_t sent = send_some(connection, connection->unsent, connection->unsent_size);
    connection->unsent += sent;
    connection->unsent_size -= sent;
    if (!connection->unsent_size) watch(connection, EPOLL_CTL_MOD);
}

void send_message(Connection *connection) {
    Frame *frame = &frames[connection->next_frame];
    if (++connection->next_frame == frame_count) connection->next_frame = 0;
    connection->sent_at = now();
    size_t sent = send_some(connection, frame->bytes, frame->size);
    if (sent < frame->size) {
        connection->unsent = frame->bytes + sent;
        connection->unsent_size = frame->size - sent;
        watch(connection, EPOLL_CTL_MOD);
    }
}

// Receiving.

static void answer_ping(Connection *connection, const uint8_t *payload, size_t size) {
    uint8_t pong[6 + MAX_CONTROL] = {0x8a, (uint8_t)(0x80 | size)}; // masked with zeros
    memcpy(pong + 6, payload, size);
    if (!connection->unsent_size) send_some(connection, pong, 6 + size);
}

static void frame_began(Connection *connection, uint8_t first, const uint8_t *payload, uint64_t size) {
    uint8_t opcode = first & 0x0f;
    connection->frame_first = first;
    connection->payload_left = size;
    if (opcode == CLOSE) fail("the server closed a connection (%d)", size < 2 ? 1005 : payload[0] << 8 | payload[1]);
    if (opcode == PING) answer_ping(connection, payload, size);
    if (opcode & CONTROL) return;
    if (opcode) {
        connection->message_first = first;
        connection->message_size = 0;
        if (look_at) look_at(connection, payload, size < WINDOW ? size : WINDOW);
    }
    connection->message_size += size;
}

static void frame_ended(Connection *connection) {
    uint8_t first = connection->frame_first;
    if (!(first & CONTROL) && first & LAST) message_came(connection);
}

// How long a frame's header is, and so much of its payload as is needed at once, as far as `size` bytes of it tell: 0
// if they do not, or are fewer.
static size_t head_of(const uint8_t *bytes, size_t size, size_t *header, uint64_t *payload) {
    if (size < 2) return 0;
    uint8_t length = bytes[1];
    size_t length_size = length == 126 ? 2 : length == 127 ? 8 : 0;
    *header = 2 + length_size;
    if (size < *header) return 0;
    *payload = length_size ? 0 : length;
    for (size_t i = 0; i < length_size; i++) *payload = *payload << 8 | bytes[2 + i];
    size_t needed = bytes[0] & CONTROL ? MAX_CONTROL : look_at ? WINDOW : 0;
    size_t head = *header + (*payload < needed ? *payload : needed);
    return size < head ? 0 : head;
}

// Gives how many of the bytes it took.
static size_t take_head(Connection *connection, const uint8_t *bytes, size_t size, int *is_whole) {
    size_t header, head, taken = 0;
    uint64_t payload;
    if (!connection->head_size && (head = head_of(bytes, size, &header, &payload))) {
        frame_began(connection, bytes[0], bytes + header, payload);
        *is_whole = 1;
        return header;
    }
    while (taken < size) {
        connection->head[connection->head_size++] = bytes[taken++];
        if ((head = head_of(connection->head, connection->head_size, &header, &payload))) {
            frame_began(connection, connection->head[0], connection->head + header, payload);
            connection->payload_left -= connection->head_size - header;
            connection->head_size = 0;
            *is_whole = 1;
            break;
        }
    }
    return taken;
}

static void take(Connection *connection, const uint8_t *bytes, size_t size) {
    while (size) {
        int is_whole = connection->payload_left != 0;
        if (!is_whole) {
            size_t taken = take_head(connection, bytes, size, &is_whole);
            bytes += taken;
            size -= taken;
            if (!is_whole) return;
        }
        size_t skipped = size < connection->payload_left ? size : connection->payload_left;
        bytes += skipped;
        size -= skipped;
        connection->payload_left -= skipped;
        if (!connection->payload_left) frame_ended(connection);
    }
}

static void receive(Connection *connection) {
    static uint8_t buffer[READ_SIZE];
    for (;;) {
        // Of a long payload nobody reads a byte: the kernel drops it instead of copying it.
        int drop = connection->payload_left > sizeof buffer;
        size_t wanted = drop ? connection->payload_left : sizeof buffer;
        ssize_t received = recv(connection->fd, buffer, wanted, drop ? MSG_TRUNC : 0);
        if (received < 0 && errno == EAGAIN) return;
        if (received < 0) fail("receiving failed: %s", strerror(errno));
        if (received == 0) fail("the server closed a socket");
        received_at = now();
        bytes_received += (uint64_t)received;
        if (drop) {
            connection->payload_left -= (uint64_t)received;
            if (!connection->payload_left) frame_ended(connection);
        } else {
            take(connection, buffer, (size_t)received);
        }
        if ((size_t)received < wanted) return;
    }
}

int take_turn(int wait_ms) {
    struct epoll_event events[MAX_EVENTS];
    int count = epoll_wait(epoll, events, MAX_EVENTS, wait_ms);
    for (int i = 0; i < count; i++) {
        Connection *connection = &connections[events[i].data.u32];
        if (events[i].events & EPOLLOUT && connection->unsent_size) send_rest(connection);
        if (events[i].events & ~EPOLLOUT) receive(connection);
        if (watched) receive(watched);
    }
    return count;
}

// Opening.

void read_request(const char *path) {
    static const char before[] = "room=";
    free(request.bytes);
    request = read_file(path);
    room_number = memmem(request.bytes, request.size, before, sizeof before - 1);
    if (room_number) room_number += sizeof before - 1;
}

static void begin_connection(uint32_t room) {
    Connection *connection = &connections[connection_count];
    *connection = (Connection){.fd = socket(AF_INET, SOCK_STREAM, 0), .room = room};
    connection->next_frame = connection_count % frame_count;
    if (room != NO_ROOM) {
        char digits[ROOM_DIGITS + 1];
        if (!room_number) fail("the request names no room");
        snprintf(digits, sizeof digits, "%0*u", ROOM_DIGITS, room % MAX_ROOMS);
        memcpy(room_number, digits, ROOM_DIGITS);
    }
    if (connection->fd < 0) fail("socket: %s", strerror(errno));
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof address)) fail("connect: %s", strerror(errno));
    if (send_some(connection, request.bytes, request.size) != request.size) fail("a request did not fit the socket");
    connection_count++;
}

static void finish_connection(Connection *connection) {
    static uint8_t response[MAX_HEAD + 1];
    size_t size = 0;
    uint8_t *end = NULL;
    while (!end) {
        ssize_t received = recv(connection->fd, response + size, MAX_HEAD - size, 0);
        if (received <= 0) fail("no response to a handshake: %s", received ? strerror(errno) : "the socket was closed");
        size += (size_t)received;
        response[size] = 0;
        end = memmem(response, size, "\r\n\r\n", 4);
    }
    if (strncmp((char *)response, "HTTP/1.1 101", 12)) fail("a handshake was refused: %.40s", (char *)response);
    take(connection, end + 4, size - (size_t)(end + 4 - response));
}

void open_some(size_t wanted, size_t before, uint32_t first_room, size_t members) {
    size_t first = connection_count;
    connections = realloc(connections, wanted * sizeof *connections);
    alarm(PATIENCE_MS / 1000);
    while (connection_count < wanted && connection_count < first + BATCH)
        begin_connection(members ? first_room + (uint32_t)((connection_count - before) / members) : NO_ROOM);
    for (size_t i = first; i < connection_count; i++) finish_connection(&connections[i]);
    alarm(0);
}

void prepare(void) {
    static size_t prepared;
    for (int one = 1; prepared < connection_count; prepared++) {
        Connection *connection = &connections[prepared];
        if (connection->reads_nothing) continue;
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        fcntl(connection->fd, F_SETFL, O_NONBLOCK);
        watch(connection, EPOLL_CTL_ADD);
    }
}

void reset_connections(void) {
    struct linger reset = {.l_onoff = 1};
    for (size_t i = 0; i < connection_count; i++)
        setsockopt(connections[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}
