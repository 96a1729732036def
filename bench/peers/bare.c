/* The bare write loop: the least that a server can do to tell one thing to N sockets.
 *
 * It answers every request with an upgrade, knows no protocol and no database, and writes
 * whatever comes on its standard input (a little-endian length, then the bytes) to every
 * socket: one write a socket, with all frames of a burst joined. What it costs is the cost of
 * the kernel's work, the limit for everybody else. It ends with its standard input. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOCKETS_MAX = 1 << 20, EVENTS_MAX = 1024 };

/* The answer to the fixed key that the load generator sends. */
static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\n"
                             "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static int clients[SOCKETS_MAX];   /* upgraded sockets, without holes */
static size_t client_count;
static int place_of[SOCKETS_MAX];  /* by descriptor: place in clients + 1 */
static size_t written[SOCKETS_MAX]; /* by place, while a message is being written */

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void forget(int fd) {
  int place = place_of[fd] - 1;
  if (place >= 0) {
    int last = clients[--client_count];
    clients[place] = last;
    place_of[last] = place + 1;
    place_of[fd] = 0;
  }
  close(fd);
}

static void on_client(int fd) {
  char request[4096];
  ssize_t got = read(fd, request, sizeof request);
  if (got == 0 || (got < 0 && errno != EAGAIN)) {
    forget(fd);
    return;
  }
  if (got < 0 || place_of[fd]) return; /* what an upgraded client says is not read */
  if (write(fd, answer, sizeof answer - 1) != (ssize_t)sizeof answer - 1) {
    forget(fd);
    return;
  }
  clients[client_count++] = fd;
  place_of[fd] = (int)client_count;
}

/* One pass gives everybody what the kernel takes; the rest waits for room, socket by socket. */
static void write_all(const char *bytes, size_t size) {
  size_t unfinished = 0;
  for (size_t i = 0; i < client_count; i++) {
    ssize_t count = write(clients[i], bytes, size);
    written[i] = count < 0 ? (errno == EAGAIN ? 0 : size) : (size_t)count;
    unfinished += written[i] < size;
  }
  for (size_t i = 0; i < client_count && unfinished; i++) {
    while (written[i] < size) {
      struct pollfd room = {.fd = clients[i], .events = POLLOUT};
      poll(&room, 1, -1);
      ssize_t count = write(clients[i], bytes + written[i], size - written[i]);
      if (count < 0 && errno != EAGAIN) written[i] = size;
      if (count > 0) written[i] += (size_t)count;
    }
  }
}

static int read_whole(void *to, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t got = read(STDIN_FILENO, (char *)to + done, size - done);
    if (got <= 0) return 0;
    done += (size_t)got;
  }
  return 1;
}

static void on_message(void) {
  static char *bytes;
  uint32_t size;
  if (!read_whole(&size, sizeof size)) exit(0);
  bytes = realloc(bytes, size + 1);
  if (!bytes || !read_whole(bytes, size)) exit(0);
  write_all(bytes, size);
}

static int listen_anywhere(void) {
  const char *address = getenv("LISTEN_ADDRESS");
  if (!address) address = "127.0.0.1";
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(address)};
  socklen_t length = sizeof at;
  if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096)) fail("listen");
  if (getsockname(fd, (struct sockaddr *)&at, &length)) fail("getsockname");
  printf("bare is ready on http://%s:%d/\n", address, ntohs(at.sin_port));
  fflush(stdout);
  return fd;
}

static void watch(int epoll, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
}

int main(void) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  int listener = listen_anywhere();
  int epoll = epoll_create1(0);
  watch(epoll, listener);
  watch(epoll, STDIN_FILENO);
  for (;;) {
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == STDIN_FILENO) {
        on_message();
      } else if (fd == listener) {
        int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (client >= 0 && client < SOCKETS_MAX) watch(epoll, client);
      } else {
        on_client(fd);
      }
    }
  }
}
