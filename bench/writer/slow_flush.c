/* slow_flush.c: a disk on which a flush takes FLUSH_MS longer, to be preloaded into a server.
 *
 * Disks that really keep what they say they kept take 0.5 to 5 ms for it; many a virtual one says so
 * at once. What capture costs a write depends on it, so both are measured.
 *
 *   cc -shared -fPIC -O2 -o slow_flush.so slow_flush.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static int slowly(const char *name, int fd)
{
    int (*flush)(int) = (int (*)(int)) dlsym(RTLD_NEXT, name);
    const char *ms = getenv("FLUSH_MS");
    long ns = (long) ((ms ? atof(ms) : 0.0) * 1e6);
    struct timespec pause = { ns / 1000000000, ns % 1000000000 };
    nanosleep(&pause, NULL);
    return flush(fd);
}

int fsync(int fd) { return slowly("fsync", fd); }
int fdatasync(int fd) { return slowly("fdatasync", fd); }
