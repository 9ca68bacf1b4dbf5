/* Writes each look-up and each address that a process sends to, one a line, to the file FACEWIRE_TRACE names. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void note(const char *what, const char *whom, int port) {
    int before = errno;
    const char *path = getenv("FACEWIRE_TRACE");
    int file = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (file >= 0) {
        char line[512];
        int length = snprintf(line, sizeof line, "%s %s %d\n", what, whom ? whom : "-", port);
        if (write(file, line, length < (int)sizeof line ? length : (int)sizeof line - 1) < 0) abort();
        close(file);
    }
    errno = before;
}

static void note_address(const char *what, const struct sockaddr *to) {
    char text[INET6_ADDRSTRLEN] = "";
    if (to && to->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const void *)to;
        note(what, inet_ntop(AF_INET, &four->sin_addr, text, sizeof text), ntohs(four->sin_port));
    } else if (to && to->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)to;
        note(what, inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text), ntohs(six->sin6_port));
    }
}

#define NEXT(name) __typeof__(&name) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    NEXT(getaddrinfo);
    note("lookup", node, 0);
    return next(node, service, hints, found);
}
struct hostent *gethostbyname(const char *name) {
    NEXT(gethostbyname);
    note("lookup", name, 0);
    return next(name);
}
struct hostent *gethostbyname2(const char *name, int family) {
    NEXT(gethostbyname2);
    note("lookup", name, 0);
    return next(name, family);
}
int connect(int fd, const struct sockaddr *to, socklen_t size) {
    NEXT(connect);
    note_address("connect", to);
    return next(fd, to, size);
}
ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t to_size) {
    NEXT(sendto);
    note_address("send", to);
    return next(fd, data, size, flags, to, to_size);
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    NEXT(sendmsg);
    note_address("send", message->msg_name);
    return next(fd, message, flags);
}
int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    NEXT(sendmmsg);
    for (unsigned i = 0; i < count; i++) note_address("send", messages[i].msg_hdr.msg_name);
    return next(fd, messages, count, flags);
}
