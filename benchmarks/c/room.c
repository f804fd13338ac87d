// The load's rooms. The commands are
//
//     rooms COUNT MEMBERS SECONDS
//         opens MEMBERS connections in each of COUNT more rooms, and waits until nothing more comes of their joins
//     deaf ROOM
//         opens one more connection in a room, which nobody counts, and from which nothing is read
//     publish FIRST COUNT PUBLISHERS WINDOW SECONDS LEAST PATIENCE
//         keeps WINDOW publications in flight, in COUNT rooms from the FIRST on in turn, by the first PUBLISHERS
//         members of each in turn: for some time, and until there were LEAST of them. A new one is published when one
//         has come to all members of its room. Ends when the last has, or when none came for PATIENCE seconds
//     watch FIRST COUNT PUBLISHERS WINDOW SECONDS LEAST PATIENCE
//         the same, beside one connection that has an echo in flight, of which is told how long the longest took, and
//         for how long one usually waited while a publication was delivered: the median of the longest beside each
//
// A published message has a number behind a ~, in the text of the frame: ~0000000. What comes without one is a notice,
// and is not counted. A compressed message shows no number: it is that of the only publication in flight, and longer
// than any notice.
#define _GNU_SOURCE
#include "load.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS = 7, NUMBERS = 10000000, SLOTS = 1024, QUIET_MS = 100, COMPRESSED = 0x40, COMPRESSED_MIN = 100 };

typedef struct {
    size_t first, members; // of its connections
    size_t next_publisher;
} Room;

typedef struct {
    uint32_t number, room;
    size_t left; // the members that do not have it yet
    uint64_t sent_at;
} Publication;

typedef struct {
    size_t first, count, publishers, window, least;
    double seconds, patience;
} Plan;

static Room *rooms;
static uint32_t room_count;
static Publication publications[SLOTS];
static Plan plan;
static uint32_t next_number;
static size_t next_room, next_frame, in_flight, echoes_in_flight;
static uint64_t came_last, longest_echo; // the latter since the last publication that came to all
static Samples deliveries, completions, echoes, longest_echoes;

// Where the masked payload of a frame of ours has the number's digits.
static uint8_t *number_in(const Frame *frame, const uint8_t **mask, size_t *at) {
    uint8_t length = frame->bytes[1] & 127;
    size_t header = length == 126 ? 4 : length == 127 ? 10 : 2;
    *mask = frame->bytes + header;
    uint8_t *payload = frame->bytes + header + 4;
    for (*at = 0; header + 4 + *at + 1 + DIGITS <= frame->size; ++*at)
        if ((payload[*at] ^ (*mask)[*at & 3]) == '~') return payload + ++*at;
    fail("a message has no place for a number");
    return NULL;
}

static void publish_next(void) {
    uint32_t number = next_number++ % NUMBERS;
    size_t room = plan.first + next_room;
    if (++next_room == plan.count) next_room = 0;
    Publication *publication = &publications[number % SLOTS];
    if (publication->left) fail("publication %u has been in flight for %d others", publication->number, SLOTS);
    Frame *frame = &frames[next_frame];
    if (++next_frame == frame_count) next_frame = 0;
    const uint8_t *mask;
    size_t at;
    uint8_t *digits = number_in(frame, &mask, &at);
    for (uint32_t i = DIGITS, rest = number; i-- > 0; rest /= 10)
        digits[i] = (uint8_t)('0' + rest % 10) ^ mask[(at + i) & 3];
    Connection *publisher = &connections[rooms[room].first + rooms[room].next_publisher];
    if (++rooms[room].next_publisher == plan.publishers) rooms[room].next_publisher = 0;
    *publication = (Publication){number, (uint32_t)room, rooms[room].members, now()};
    if (send_some(publisher, frame->bytes, frame->size) != frame->size) fail("a publication did not fit the socket");
}

// The number is at the same place in all messages of a server, or nearly all.
static void find_number(Connection *connection, const uint8_t *payload, size_t size) {
    static size_t at;
    connection->number = NO_NUMBER;
    if (at >= size || payload[at] != '~') {
        const uint8_t *found = memchr(payload, '~', size);
        if (!found) return;
        at = (size_t)(found - payload);
    }
    if (size - at < 1 + DIGITS) return;
    uint32_t number = 0;
    for (size_t i = at + 1; i <= at + DIGITS; i++) number = number * 10 + (uint32_t)(payload[i] - '0');
    connection->number = number;
}

static uint32_t number_of(const Connection *connection) {
    if (!(connection->message_first & COMPRESSED)) return connection->number;
    if (!in_flight || connection->message_size < COMPRESSED_MIN) return NO_NUMBER;
    if (in_flight > 1) fail("of compressed messages, only one can be in flight");
    return (next_number - 1) % NUMBERS;
}

static void delivered(Connection *connection) {
    uint32_t number = number_of(connection);
    if (number == NO_NUMBER) return;
    Publication *publication = &publications[number % SLOTS];
    if (!publication->left || publication->number != number || publication->room != connection->room)
        fail("a member got publication %u, which is not on its way to it", number);
    came_last = received_at;
    add_sample(&deliveries, received_at - publication->sent_at);
    if (--publication->left) return;
    add_sample(&completions, received_at - publication->sent_at);
    if (watched) add_sample(&longest_echoes, longest_echo);
    longest_echo = 0;
    if (received_at < run_until || completions.count < plan.least)
        publish_next();
    else
        in_flight--;
}

static void came(Connection *connection) {
    if (connection->room != NO_ROOM) {
        delivered(connection);
        return;
    }
    uint64_t took = received_at - connection->sent_at;
    add_sample(&echoes, took);
    if (took > longest_echo) longest_echo = took;
    if (in_flight)
        send_message(connection);
    else
        echoes_in_flight--;
}

static Connection *echoing_connection(void) {
    for (size_t i = 0; i < connection_count; i++)
        if (connections[i].room == NO_ROOM && !connections[i].reads_nothing) return &connections[i];
    fail("no connection is open for an echo");
    return NULL;
}

static void publish(int beside_an_echo) {
    if (plan.first + plan.count > room_count || !plan.count) fail("there are %u rooms", room_count);
    deliveries.count = completions.count = echoes.count = longest_echoes.count = 0;
    next_room = 0;
    bytes_received = 0;
    prepare();
    double cpu = cpu_seconds();
    uint64_t start = came_last = now(), patience = (uint64_t)(plan.patience * 1e9);
    run_until = start + (uint64_t)(plan.seconds * 1e9);
    for (in_flight = 0; in_flight < plan.window; in_flight++) publish_next();
    if (beside_an_echo) {
        watched = echoing_connection();
        echoes_in_flight = 1;
        send_message(watched);
    }
    while (in_flight + echoes_in_flight && now() < came_last + patience) take_turn(PATIENCE_MS / 100);
    size_t undelivered = 0;
    for (size_t i = 0; i < SLOTS; i++) undelivered += publications[i].left;
    double took = (double)(now() - start) / 1e9;
    cpu = cpu_seconds() - cpu;
    watched = NULL;
    sort_samples(&deliveries);
    sort_samples(&completions);
    sort_samples(&echoes);
    sort_samples(&longest_echoes);
    printf("{\"publications\": %zu, \"deliveries\": %zu, \"undelivered\": %zu, \"seconds\": %.6f, "
           "\"cpu_seconds\": %.6f, \"bytes\": %llu, ",
           completions.count, deliveries.count, undelivered, took, cpu, (unsigned long long)bytes_received);
    printf("\"p50_us\": %.1f, \"p99_us\": %.1f, \"last_p50_us\": %.1f, \"last_p99_us\": %.1f, ",
           sample_us(&deliveries, 0.5), sample_us(&deliveries, 0.99), sample_us(&completions, 0.5),
           sample_us(&completions, 0.99));
    printf("\"echoes\": %zu, \"echo_max_us\": %.1f, \"echo_usual_max_us\": %.1f}\n", echoes.count,
           sample_us(&echoes, 1), sample_us(&longest_echoes, 0.5));
}

static void open_rooms(uint32_t count, size_t members, double seconds) {
    size_t before = connection_count, wanted = before + count * members;
    uint64_t start = now(), end = start + (uint64_t)(seconds * 1e9);
    if (room_count + count > MAX_ROOMS) fail("there are at most %d rooms", MAX_ROOMS);
    rooms = realloc(rooms, (room_count + count) * sizeof *rooms);
    while (connection_count < wanted && now() < end) {
        open_some(wanted, before, room_count, members);
        prepare();
        while (take_turn(0)) continue; // or the notices of all the joins would fill the sockets
    }
    while (now() < end && take_turn(QUIET_MS)) continue;
    uint32_t full = (uint32_t)((connection_count - before) / members);
    for (uint32_t i = 0; i < full; i++) rooms[room_count++] = (Room){before + i * members, members, 0};
    printf("{\"rooms\": %u, \"seconds\": %.6f}\n", full, (double)(now() - start) / 1e9);
}

static void open_deaf(uint32_t room) {
    size_t before = connection_count;
    open_some(before + 1, before, room, 1);
    connections[before].room = NO_ROOM;
    connections[before].reads_nothing = 1;
    printf("{\"opened\": 1}\n");
}

int room_command(const char *line) {
    uint32_t room, count;
    size_t members;
    double seconds;
    char verb[8];
    message_came = came;
    look_at = find_number;
    if (sscanf(line, "rooms %u %zu %lf", &count, &members, &seconds) == 3)
        open_rooms(count, members, seconds);
    else if (sscanf(line, "deaf %u", &room) == 1)
        open_deaf(room);
    else if (sscanf(line, "%7s %zu %zu %zu %zu %lf %zu %lf", verb, &plan.first, &plan.count, &plan.publishers,
                    &plan.window, &plan.seconds, &plan.least, &plan.patience) == 8)
        publish(!strcmp(verb, "watch"));
    else
        return 0;
    return 1;
}
