/* deflate.c: what permessage-deflate would cost and save, for changes as clients get them.
 *
 * Frames of one table, alone and in batches, compressed as RFC 7692 has it without context takeover:
 * raw deflate, flushed, the last four bytes dropped. Only so may the same bytes go to every client.
 * A compressor for each client (context takeover) is measured beside it, and the inflating. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

enum { FRAMES = 2000, FRAME_MAX = 1024, BATCH_MAX = 100, ROUNDS = 7 };

static char frames[FRAMES][FRAME_MAX];
static size_t length_of[FRAMES];
static const char *cities[] = { "Zagreb", "Ljubljana", "Graz", "Trieste", "Budapest", "Brno", "Linz" };
static const char *states[] = { "pending", "confirmed", "cancelled", "waitlisted" };

/* Registrations of an academy: most of a frame repeats, what a row is about does not. */
static void make_frames(void)
{
    uint64_t seed = 1;
    for (int i = 0; i < FRAMES; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        unsigned dice = (unsigned) (seed >> 33);
        length_of[i] = (size_t) snprintf(frames[i], FRAME_MAX,
            "{\"type\":\"change\",\"topic\":\"t1\",\"schema\":\"public\",\"table\":\"registrations\","
            "\"operation\":\"UPDATE\",\"effect\":\"update\",\"key\":{\"id\":%d},\"data\":{\"id\":%d,"
            "\"course_id\":%u,\"profile_id\":%u,\"status\":\"%s\",\"city\":\"%s\",\"paid\":%u.%02u,"
            "\"token\":\"%08x%08x\",\"changed_at\":\"2026-03-%02uT%02u:%02u:%02u.%06u+00:00\"},"
            "\"id\":\"%d\",\"xid\":\"%d\",\"at\":\"2026-03-01T10:%02d:%02d.%06uZ\"}",
            4000 + i, 4000 + i, dice % 90, dice % 7919, states[dice % 4], cities[dice / 4 % 7], dice % 400,
            dice % 100, dice, (unsigned) seed, 1 + dice % 28, dice % 24, dice % 60, dice / 7 % 60,
            dice % 1000000, 100000 + i, 70000 + i, i / 60 % 60, i % 60, dice / 3 % 1000000);
    }
}

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double) now.tv_sec * 1e6 + (double) now.tv_nsec / 1e3;
}

/* Prints size and CPU per frame of batches of so many frames; the least of some rounds. */
static void measure(int batch, int level, int takeover)
{
    static unsigned char in[BATCH_MAX * FRAME_MAX], out[2 * BATCH_MAX * FRAME_MAX], back[BATCH_MAX * FRAME_MAX];
    double best = 1e12, best_back = 1e12;
    size_t plain = 0, packed = 0;
    for (int round = 0; round < ROUNDS; round++) {
        z_stream deflater = { 0 }, inflater = { 0 };
        if (deflateInit2(&deflater, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) exit(1);
        if (inflateInit2(&inflater, -15) != Z_OK) exit(1);
        double spent = 0, spent_back = 0;
        plain = packed = 0;
        for (int first = 0; first + batch <= FRAMES; first += batch) {
            size_t size = 0;
            for (int i = first; i < first + batch; i++) {
                memcpy(in + size, frames[i], length_of[i]);
                size += length_of[i];
            }
            double began = cpu_us();
            if (!takeover) deflateReset(&deflater);
            deflater.next_in = in;
            deflater.avail_in = (uInt) size;
            deflater.next_out = out;
            deflater.avail_out = sizeof out;
            if (deflate(&deflater, Z_SYNC_FLUSH) != Z_OK) exit(1);
            double packed_at = cpu_us();
            size_t written = sizeof out - deflater.avail_out;
            if (!takeover) inflateReset(&inflater);
            inflater.next_in = out;
            inflater.avail_in = (uInt) written;
            inflater.next_out = back;
            inflater.avail_out = sizeof back;
            if (inflate(&inflater, Z_SYNC_FLUSH) != Z_OK || memcmp(in, back, size) != 0) exit(2);
            spent_back += cpu_us() - packed_at;
            spent += packed_at - began;
            plain += size;
            packed += written - 4;
        }
        if (spent < best) best = spent;
        if (spent_back < best_back) best_back = spent_back;
        deflateEnd(&deflater);
        inflateEnd(&inflater);
    }
    printf("| %s | %d | %d | %zu | %zu (%.0f %%) | %.1f | %.1f |\n", takeover ? "one for each client" : "shared",
           batch, level, plain / FRAMES, packed / FRAMES, 100.0 * (double) packed / (double) plain,
           best / FRAMES, best_back / FRAMES);
}

int main(void)
{
    make_frames();
    puts("| compressor | frames together | level | bytes a frame | compressed | CPU us to compress | to inflate |");
    puts("| --- | --- | --- | --- | --- | --- | --- |");
    for (int level = 1; level <= 6; level += 5) {
        measure(1, level, 0);
        measure(20, level, 0);
        measure(100, level, 0);
        measure(1, level, 1);
    }
    return 0;
}
