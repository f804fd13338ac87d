// The load: opens WebSocket connections to a server on this machine and keeps them busy. One thread, epoll.
//
//     load PORT REQUEST FRAMES
//
// REQUEST is a file with the request that opens a connection. FRAMES is a file with what the clients send: whole
// frames, masked already, each behind its size (4 bytes, as the processor has them); connections take them in turn.
// Nothing is built while it runs, so that it costs less than the server that it measures.
//
// Then it does what the lines of stdin say, and answers each with a line of JSON:
//
//     open COUNT SECONDS   opens COUNT more connections, BATCH at a time: or fewer, when SECONDS are over
//     echo SECONDS         keeps one message in flight on every connection; ends when the last was answered
//
// Whoever asks can so look at the server between two lines, when no message is under way.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 50, MAX_HEAD = 16384, MAX_EVENTS = 256, PATIENCE_MS = 10000, READ_SIZE = 65536 };

typedef struct {
    uint8_t *bytes;
    size_t size;
} Frame;

typedef struct {
    int fd;
    uint8_t head[10];      // a frame's header, as far as it has come
    uint8_t head_size;
    uint64_t payload_left; // of the frame whose header has come
    const uint8_t *unsent; // the rest of a frame that did not fit the socket
    size_t unsent_size;
    size_t next_frame;
    uint64_t sent_at;
} Connection;

static Connection *connections;
static size_t connection_count;
static Frame *frames;
static size_t frame_count;
static Frame request;
static struct sockaddr_in address = {.sin_family = AF_INET};
static int epoll;

static uint64_t *latencies;
static size_t latency_count, latency_capacity;
static uint64_t bytes_received, run_until;
static size_t in_flight;

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static double cpu_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static Frame read_file(const char *path) {
    Frame file = {0};
    FILE *stream = fopen(path, "rb");
    if (!stream) fail("%s: %s", path, strerror(errno));
    fseek(stream, 0, SEEK_END);
    file.size = (size_t)ftell(stream);
    rewind(stream);
    file.bytes = malloc(file.size + 1);
    if (fread(file.bytes, 1, file.size, stream) != file.size) fail("%s cannot be read", path);
    fclose(stream);
    return file;
}

static void read_frames(const char *path) {
    Frame file = read_file(path);
    for (size_t at = 0; at < file.size;) {
        uint32_t size;
        memcpy(&size, file.bytes + at, sizeof size);
        frames = realloc(frames, (frame_count + 1) * sizeof *frames);
        frames[frame_count++] = (Frame){file.bytes + at + sizeof size, size};
        at += sizeof size + size;
    }
}

// Sending.

static void watch(Connection *connection, int operation) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(connection - connections)};
    if (connection->unsent_size) event.events |= EPOLLOUT;
    epoll_ctl(epoll, operation, connection->fd, &event);
}

static size_t send_some(Connection *connection, const uint8_t *bytes, size_t size) {
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

static void send_message(Connection *connection, uint64_t time) {
    Frame *frame = &frames[connection->next_frame];
    if (++connection->next_frame == frame_count) connection->next_frame = 0;
    connection->sent_at = time;
    size_t sent = send_some(connection, frame->bytes, frame->size);
    if (sent < frame->size) {
        connection->unsent = frame->bytes + sent;
        connection->unsent_size = frame->size - sent;
        watch(connection, EPOLL_CTL_MOD);
    }
}

// Receiving.

static void message_came(Connection *connection) {
    uint64_t time = now();
    if (latency_count == latency_capacity) {
        latency_capacity = latency_capacity ? latency_capacity * 2 : 1 << 20;
        latencies = realloc(latencies, latency_capacity * sizeof *latencies);
    }
    latencies[latency_count++] = time - connection->sent_at;
    if (time < run_until)
        send_message(connection, time);
    else
        in_flight--;
}

static void frame_ended(Connection *connection) {
    uint8_t first = connection->head[0], opcode = first & 0x0f;
    connection->head_size = 0;
    if (opcode == 8) fail("the server closed a connection");
    if (opcode == 9) { // an empty pong: nobody here counts what it answers to
        static const uint8_t pong[] = {0x8a, 0x80, 1, 2, 3, 4};
        if (!connection->unsent_size) send_some(connection, pong, sizeof pong);
    } else if (opcode <= 2 && first & 0x80) {
        message_came(connection);
    }
}

// How long a header is, and its payload, as far as `size` bytes of it tell: 0 if they do not.
static size_t header_of(const uint8_t *head, size_t size, uint64_t *payload) {
    if (size < 2) return 0;
    uint8_t length = head[1];
    size_t length_size = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (size < 2 + length_size) return 0;
    *payload = length_size ? 0 : length;
    for (size_t i = 0; i < length_size; i++) *payload = *payload << 8 | head[2 + i];
    return 2 + length_size;
}

static void take(Connection *connection, const uint8_t *bytes, size_t size) {
    while (size) {
        if (!connection->payload_left) {
            connection->head[connection->head_size++] = *bytes++;
            size--;
            if (!header_of(connection->head, connection->head_size, &connection->payload_left)) continue;
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

// The commands.

static void begin_connection(void) {
    Connection *connection = &connections[connection_count];
    *connection = (Connection){.fd = socket(AF_INET, SOCK_STREAM, 0), .next_frame = connection_count % frame_count};
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

// What an open connection needs to be driven, and a handshake that is measured does not.
static void prepare(void) {
    static size_t prepared;
    for (int one = 1; prepared < connection_count; prepared++) {
        Connection *connection = &connections[prepared];
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        fcntl(connection->fd, F_SETFL, O_NONBLOCK);
        watch(connection, EPOLL_CTL_ADD);
    }
}

// Leave no port taken for the minute that the kernel would otherwise keep it.
static void reset_connections(void) {
    struct linger reset = {.l_onoff = 1};
    for (size_t i = 0; i < connection_count; i++)
        setsockopt(connections[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

static void too_late(int number) {
    (void)number;
    static const char said[] = "no response to a handshake in time\n";
    if (write(STDERR_FILENO, said, sizeof said - 1)) _exit(1);
}

static void open_connections(size_t count, double seconds) {
    size_t before = connection_count, wanted = before + count;
    connections = realloc(connections, wanted * sizeof *connections);
    double cpu = cpu_seconds();
    uint64_t start = now(), end = start + (uint64_t)(seconds * 1e9);
    while (connection_count < wanted && now() < end) {
        alarm(PATIENCE_MS / 1000);
        size_t first = connection_count;
        while (connection_count < wanted && connection_count < first + BATCH) begin_connection();
        for (size_t i = first; i < connection_count; i++) finish_connection(&connections[i]);
    }
    alarm(0);
    printf("{\"opened\": %zu, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n", connection_count - before,
           (double)(now() - start) / 1e9, cpu_seconds() - cpu);
}

static int by_size(const void *one, const void *other) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

static double latency_us(double share) {
    return latency_count ? (double)latencies[(size_t)(share * (double)(latency_count - 1))] / 1e3 : 0;
}

static void echo(double seconds) {
    struct epoll_event events[MAX_EVENTS];
    latency_count = 0;
    bytes_received = 0;
    prepare();
    double cpu = cpu_seconds();
    uint64_t start = now();
    run_until = start + (uint64_t)(seconds * 1e9);
    in_flight = connection_count;
    for (size_t i = 0; i < connection_count; i++) send_message(&connections[i], now());
    while (in_flight) {
        int count = epoll_wait(epoll, events, MAX_EVENTS, PATIENCE_MS);
        if (count == 0) fail("no answer for %d seconds to %zu messages", PATIENCE_MS / 1000, in_flight);
        for (int i = 0; i < count; i++) {
            Connection *connection = &connections[events[i].data.u32];
            if (events[i].events & EPOLLOUT && connection->unsent_size) send_rest(connection);
            if (events[i].events & ~EPOLLOUT) receive(connection);
        }
    }
    double took = (double)(now() - start) / 1e9;
    cpu = cpu_seconds() - cpu;
    qsort(latencies, latency_count, sizeof *latencies, by_size);
    printf("{\"messages\": %zu, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"bytes\": %llu, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f}\n",
           latency_count, took, cpu, (unsigned long long)bytes_received, latency_us(0.5), latency_us(0.99));
}

int main(int argument_count, char **arguments) {
    if (argument_count != 4) fail("usage: load PORT REQUEST FRAMES");
    address.sin_port = htons((uint16_t)atoi(arguments[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    request = read_file(arguments[2]);
    read_frames(arguments[3]);
    if (!frame_count) fail("%s has no frame", arguments[3]);
    epoll = epoll_create1(0);
    signal(SIGALRM, too_late);
    char line[256];
    while (fgets(line, sizeof line, stdin)) {
        size_t count;
        double seconds;
        if (sscanf(line, "open %zu %lf", &count, &seconds) == 2)
            open_connections(count, seconds);
        else if (sscanf(line, "echo %lf", &seconds) == 1)
            echo(seconds);
        else
            fail("not understood: %s", line);
        fflush(stdout);
    }
    reset_connections();
    return 0;
}
