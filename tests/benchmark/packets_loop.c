/* The measure of the packet path: the same work as a plain C loop. Compiled by tests/benchmark/packets.py.

Receives by recvmmsg, finds the link by address, checks header and replay window, opens; seals by the link's
key and sequence, sends by sendmmsg. libsodium is the one of PyNaCl's wheel, as for ours. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { RECEIVE_BATCH = 512, RECEIVE_BYTES = 1408, SEND_BATCH = 128, SEND_BYTES = 1216, ARRIVAL_BYTES = 1344 };
enum { HEAD_BYTES = 21, TAG_BYTES = 16, WINDOW = 256, KEEP_ALIVE = 4, PAYLOAD = 5 };

typedef int (*open_function)(uint8_t *, uint8_t *, const uint8_t *, unsigned long long, const uint8_t *,
                             const uint8_t *, unsigned long long, const uint8_t *, const uint8_t *);
typedef int (*seal_function)(uint8_t *, unsigned long long *, const uint8_t *, unsigned long long,
                             const uint8_t *, unsigned long long, const uint8_t *, const uint8_t *,
                             const uint8_t *);

struct link {
    struct sockaddr_in address;
    uint8_t receive_key[32], send_key[32];
    uint64_t next_sequence, newest;
    int has_received;
    double heard_at, sent_at;
    uint64_t window[WINDOW];
};

struct loop {
    open_function open;
    seal_function seal;
    uint8_t head[HEAD_BYTES + 1];
    int capacity, mask;
    struct link *links;
    int *buckets;
    struct mmsghdr in[RECEIVE_BATCH], out[SEND_BATCH];
    struct iovec in_iovecs[RECEIVE_BATCH], out_iovecs[SEND_BATCH];
    struct sockaddr_in names[RECEIVE_BATCH];
    uint8_t in_buffers[RECEIVE_BATCH][RECEIVE_BYTES], out_buffers[SEND_BATCH][SEND_BYTES];
    int arrived, *slots, *lengths;
    uint8_t *arrivals;
    long drops;
};

static uint32_t place_of(uint32_t host, uint16_t port) {
    uint64_t mixed = (((uint64_t)host << 16) | port) * 0x9E3779B97F4A7C15ull;
    return (uint32_t)(mixed >> 32);
}

struct loop *make(const char *sodium, const uint8_t *head, int capacity) {
    void *library = dlopen(sodium, RTLD_NOW);
    struct loop *loop = calloc(1, sizeof *loop);
    if (!library || !loop) return NULL;
    loop->open = (open_function)dlsym(library, "crypto_aead_chacha20poly1305_ietf_decrypt_detached");
    loop->seal = (seal_function)dlsym(library, "crypto_aead_chacha20poly1305_ietf_encrypt");
    if (!loop->open || !loop->seal) return NULL;
    memcpy(loop->head, head, HEAD_BYTES);
    int size = 1;
    while (size < 4 * capacity) size *= 2;
    loop->capacity = capacity;
    loop->mask = size - 1;
    loop->links = calloc(capacity, sizeof *loop->links);
    loop->buckets = malloc(size * sizeof(int));
    memset(loop->buckets, 0xFF, size * sizeof(int));
    loop->slots = calloc(4 * capacity, sizeof(int));
    loop->lengths = calloc(4 * capacity, sizeof(int));
    loop->arrivals = calloc(4 * capacity + 1, ARRIVAL_BYTES);
    for (int row = 0; row < RECEIVE_BATCH; row++) {
        loop->in_iovecs[row] = (struct iovec){loop->in_buffers[row], RECEIVE_BYTES};
        loop->in[row].msg_hdr = (struct msghdr){.msg_name = &loop->names[row], .msg_iov = &loop->in_iovecs[row], .msg_iovlen = 1};
    }
    for (int row = 0; row < SEND_BATCH; row++) {
        loop->out_iovecs[row].iov_base = loop->out_buffers[row];
        loop->out[row].msg_hdr = (struct msghdr){.msg_namelen = sizeof(struct sockaddr_in), .msg_iov = &loop->out_iovecs[row], .msg_iovlen = 1};
    }
    return loop;
}

void add(struct loop *loop, int slot, const struct sockaddr_in *address, const uint8_t *receive_key,
         const uint8_t *send_key, uint64_t next_sequence) {
    struct link *link = &loop->links[slot];
    link->address = *address;
    memcpy(link->receive_key, receive_key, 32);
    memcpy(link->send_key, send_key, 32);
    link->next_sequence = next_sequence;
    for (uint64_t place = 0; place < WINDOW; place++) link->window[place] = place ^ 1;
    uint32_t at = place_of(address->sin_addr.s_addr, address->sin_port) & loop->mask;
    while (loop->buckets[at] >= 0) at = (at + 1) & loop->mask;
    loop->buckets[at] = slot;
}

static int find(struct loop *loop, const struct sockaddr_in *name) {
    uint32_t at = place_of(name->sin_addr.s_addr, name->sin_port) & loop->mask;
    for (; loop->buckets[at] >= 0; at = (at + 1) & loop->mask) {
        struct sockaddr_in *known = &loop->links[loop->buckets[at]].address;
        if (known->sin_addr.s_addr == name->sin_addr.s_addr && known->sin_port == name->sin_port)
            return loop->buckets[at];
    }
    return -1;
}

static int take(struct loop *loop, const uint8_t *data, int size, int slot, double now) {
    if (slot < 0 || size < 18 || size > 1325) return 0;
    int kind = data[0] & 15, bytes = data[0] >> 4;
    if ((kind != KEEP_ALIVE && kind != PAYLOAD) || bytes < 1 || bytes > 8 || size < 1 + bytes + TAG_BYTES) return 0;
    struct link *link = &loop->links[slot];
    uint64_t sequence = 0;
    for (int at = 0; at < bytes; at++) sequence |= (uint64_t)data[1 + at] << (8 * at);
    if (link->has_received && sequence <= link->newest &&
        (link->newest - sequence >= WINDOW || link->window[sequence % WINDOW] == sequence)) return 0;
    uint8_t nonce[12] = {0};
    memcpy(nonce + 4, &sequence, 8);
    loop->head[HEAD_BYTES] = data[0];
    const uint8_t *body = data + 1 + bytes;
    int length = size - 1 - bytes - TAG_BYTES;
    uint8_t *plain = loop->arrivals + (size_t)loop->arrived * ARRIVAL_BYTES;
    if (loop->open(plain, NULL, body, length, body + length, loop->head, HEAD_BYTES + 1, nonce, link->receive_key)) return 0;
    if (!link->has_received || sequence > link->newest) link->newest = sequence;
    link->has_received = 1;
    link->window[sequence % WINDOW] = sequence;
    link->heard_at = now;
    if (kind == PAYLOAD && loop->arrived < 4 * loop->capacity) {
        loop->slots[loop->arrived] = slot;
        loop->lengths[loop->arrived++] = length;
    }
    return 1;
}

/* Take what has come, after what came before. */
int receive_more(struct loop *loop, int socket, double now) {
    for (;;) {
        for (int row = 0; row < RECEIVE_BATCH; row++) loop->in[row].msg_hdr.msg_namelen = sizeof(struct sockaddr_in);
        int count = recvmmsg(socket, loop->in, RECEIVE_BATCH, MSG_DONTWAIT, NULL);
        for (int row = 0; row < count; row++)
            if (!take(loop, loop->in_buffers[row], loop->in[row].msg_len, find(loop, &loop->names[row]), now)) loop->drops++;
        if (count < RECEIVE_BATCH) return loop->arrived;
    }
}

int receive(struct loop *loop, int socket, double now) {
    loop->arrived = 0;
    return receive_more(loop, socket, now);
}

int send_all(struct loop *loop, int socket, const int64_t *slots, int count, const uint8_t *payloads, int stride, const int64_t *lengths, double now) {
    int sent = 0;
    for (int start = 0; start < count; start += SEND_BATCH) {
        int batch = count - start < SEND_BATCH ? count - start : SEND_BATCH;
        for (int place = 0; place < batch; place++) {
            struct link *link = &loop->links[slots[start + place]];
            uint64_t sequence = link->next_sequence++;
            int bytes = 1, length = lengths[start + place];
            while (bytes < 8 && sequence >> (8 * bytes)) bytes++;
            uint8_t *packet = loop->out_buffers[place], nonce[12] = {0};
            memcpy(nonce + 4, &sequence, 8);
            packet[0] = loop->head[HEAD_BYTES] = PAYLOAD | bytes << 4;
            memcpy(packet + 1, &sequence, bytes);
            loop->seal(packet + 1 + bytes, NULL, payloads + (size_t)(start + place) * stride, length, loop->head,
                       HEAD_BYTES + 1, NULL, nonce, link->send_key);
            loop->out_iovecs[place].iov_len = 1 + bytes + length + TAG_BYTES;
            loop->out[place].msg_hdr.msg_name = &link->address;
            link->sent_at = now;
        }
        for (int done = 0; done < batch;) {
            int went = sendmmsg(socket, loop->out + done, batch - done, MSG_DONTWAIT);
            done += went > 0 ? went : 1;
            sent += went > 0 ? went : 0;
        }
    }
    return sent;
}
