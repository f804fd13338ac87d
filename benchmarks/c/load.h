// What the parts of the load share: connections, what is sent on them, and what is counted.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
    MAX_HEADER = 10,
    MAX_CONTROL = 125, // the payload of a control frame
    WINDOW = 64,       // how much of a message's beginning is looked at, where any is
    PATIENCE_MS = 10000,
    ROOM_DIGITS = 5, // how a request names a room: room=00000
    MAX_ROOMS = 100000,
};

enum { NO_ROOM = UINT32_MAX, NO_NUMBER = UINT32_MAX };

typedef struct {
    uint8_t *bytes;
    size_t size;
} Frame;

typedef struct {
    int fd;
    uint32_t room; // NO_ROOM: it sends echoes
    uint8_t reads_nothing;
    uint8_t frame_first;   // the first byte of the frame that is coming
    uint8_t message_first; // that of the message's first frame
    uint8_t head_size;
    uint8_t head[MAX_HEADER + MAX_CONTROL]; // a frame's beginning, where it does not come in one piece
    uint32_t number;                        // of the publication that is coming
    uint64_t payload_left;                  // of the frame whose beginning has come
    uint64_t message_size;                  // of the message that is coming, with all of this frame's payload
    const uint8_t *unsent;                  // the rest of a frame that did not fit the socket
    size_t unsent_size;
    size_t next_frame;
    uint64_t sent_at;
} Connection;

typedef struct {
    uint64_t *values;
    size_t count, capacity;
} Samples;

extern Connection *connections;
extern size_t connection_count;
extern Frame *frames;
extern size_t frame_count;

// What is done with a message that has come to its end, and with the beginning of its payload: NULL where nobody looks
// at payloads, and long ones are dropped unread.
extern void (*message_came)(Connection *connection);
extern void (*look_at)(Connection *connection, const uint8_t *payload, size_t size);

// When what is read now came, and how much has come since somebody set it to 0.
extern uint64_t received_at, bytes_received;

// Until when messages that were answered are followed by others.
extern uint64_t run_until;

// A connection that is read after every other one, so that what it waits for is the server alone; or NULL.
extern Connection *watched;

void fail(const char *format, ...);
uint64_t now(void);
double cpu_seconds(void);
Frame read_file(const char *path);

void add_sample(Samples *samples, uint64_t nanoseconds);
void sort_samples(Samples *samples);
double sample_us(const Samples *samples, double share);

void use_port(int port);
void read_request(const char *path);

size_t send_some(Connection *connection, const uint8_t *bytes, size_t size);
void send_message(Connection *connection);

// Takes what has come on all connections, after waiting so long for the first of it. 0: nothing has.
int take_turn(int wait_ms);

// Opens some more connections, up to `wanted` in all. Those after the first `before` ones are in rooms of so many
// members, from `first_room` on; for 0 members, in none.
void open_some(size_t wanted, size_t before, uint32_t first_room, size_t members);

// Has all that are open be read: a handshake that is measured needs less.
void prepare(void);

// Has the kernel forget all of them at once: otherwise it keeps each port taken for a minute.
void reset_connections(void);

// Does one of the commands of room.c; 0 if the line is none of them.
int room_command(const char *line);
