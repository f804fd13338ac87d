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
//     request FILE         opens connections with this request from now on
//     open COUNT SECONDS   opens COUNT more connections, BATCH at a time: or fewer, when SECONDS are over
//     echo SECONDS         keeps one message in flight on each of them; ends when the last was answered
//
// and what room.c says.
//
// Whoever asks can so look at the server between two lines, when no message is under way.
#include "load.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

uint64_t run_until;

static Samples latencies;
static size_t in_flight;

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

double cpu_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

Frame read_file(const char *path) {
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

// Counting.

void add_sample(Samples *samples, uint64_t nanoseconds) {
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity ? samples->capacity * 2 : 1 << 20;
        samples->values = realloc(samples->values, samples->capacity * sizeof *samples->values);
    }
    samples->values[samples->count++] = nanoseconds;
}

static int by_size(const void *one, const void *other) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

void sort_samples(Samples *samples) {
    qsort(samples->values, samples->count, sizeof *samples->values, by_size);
}

// The least that so large a share of the samples is not above; they are sorted.
double sample_us(const Samples *samples, double share) {
    return samples->count ? (double)samples->values[(size_t)(share * (double)(samples->count - 1))] / 1e3 : 0;
}

static void too_late(int number) {
    (void)number;
    static const char said[] = "no response to a handshake in time\n";
    if (write(STDERR_FILENO, said, sizeof said - 1)) _exit(1);
}

// The commands.

static void open_connections(size_t count, double seconds) {
    size_t before = connection_count, wanted = before + count;
    double cpu = cpu_seconds();
    uint64_t start = now(), end = start + (uint64_t)(seconds * 1e9);
    while (connection_count < wanted && now() < end) open_some(wanted, before, NO_ROOM, 0);
    printf("{\"opened\": %zu, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n", connection_count - before,
           (double)(now() - start) / 1e9, cpu_seconds() - cpu);
}

static void echo_came(Connection *connection) {
    if (connection->room != NO_ROOM) return;
    add_sample(&latencies, received_at - connection->sent_at);
    if (received_at < run_until)
        send_message(connection);
    else
        in_flight--;
}

static void echo(double seconds) {
    latencies.count = 0;
    bytes_received = 0;
    message_came = echo_came;
    look_at = NULL;
    prepare();
    double cpu = cpu_seconds();
    uint64_t start = now();
    run_until = start + (uint64_t)(seconds * 1e9);
    for (size_t i = 0; i < connection_count; i++) {
        if (connections[i].room != NO_ROOM) continue;
        in_flight++;
        send_message(&connections[i]);
    }
    while (in_flight)
        if (!take_turn(PATIENCE_MS))
            fail("no answer for %d seconds to %zu messages", PATIENCE_MS / 1000, in_flight);
    double took = (double)(now() - start) / 1e9;
    cpu = cpu_seconds() - cpu;
    sort_samples(&latencies);
    printf("{\"messages\": %zu, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"bytes\": %llu, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f}\n",
           latencies.count, took, cpu, (unsigned long long)bytes_received, sample_us(&latencies, 0.5),
           sample_us(&latencies, 0.99));
}

int main(int argument_count, char **arguments) {
    if (argument_count != 4) fail("usage: load PORT REQUEST FRAMES");
    use_port(atoi(arguments[1]));
    read_request(arguments[2]);
    read_frames(arguments[3]);
    if (!frame_count) fail("%s has no frame", arguments[3]);
    signal(SIGALRM, too_late);
    char line[1024], path[1024];
    while (fgets(line, sizeof line, stdin)) {
        size_t count;
        double seconds;
        if (sscanf(line, "request %1023[^\n]", path) == 1) {
            read_request(path);
            puts("{}");
        } else if (sscanf(line, "open %zu %lf", &count, &seconds) == 2) {
            open_connections(count, seconds);
        } else if (sscanf(line, "echo %lf", &seconds) == 1) {
            echo(seconds);
        } else if (!room_command(line)) {
            fail("not understood: %s", line);
        }
        fflush(stdout);
    }
    reset_connections();
    return 0;
}
