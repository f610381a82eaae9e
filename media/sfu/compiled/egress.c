/* Seals RTP for many viewers (AES-128-GCM, RFC 7714) and sends it, in one call.
 *
 * `cluster/bootstrap.py` compiles it, `media/sfu/compiled_loop.py` calls it, and nothing depends on
 * it: without it the same bytes leave by Python. It keeps no state: keys are contexts that the
 * caller opened, where a stream's index begins comes with every call. libcrypto is bound at run
 * time, so that no header of it is needed. Linux, 64 bits: see sendmmsg(2) and UDP_SEGMENT, udp(7).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum {
    TAG_BYTES = 16,
    NONCE_BYTES = 12,
    NAME_BYTES = 28,
    MESSAGES_MAX = 256,
    PACKETS_MAX = 256,
    GET_TAG = 0x10, /* EVP_CTRL_AEAD_GET_TAG */
    UDP_SEGMENT_OPTION = 103
};

/* Layouts that the caller writes and reads; all sizes in bytes. */
struct stream {
    void *context;             /* the viewer's key */
    uint64_t start;            /* the index that its SRTP index 0 stands for */
    uint8_t nonce[NONCE_BYTES]; /* salt XOR SSRC, to be XORed with the index (RFC 7714 8.1) */
    uint8_t padding[4];
};
struct packet {
    uint32_t offset, header, size, padding; /* in `plain`; `size` with the header */
    uint64_t index;
};
struct message {
    uint32_t target, offset, size, segment; /* segment 0: a lone datagram */
};
struct run {
    uint32_t first, end;
};

static void *(*context_new)(void);
static void (*context_free)(void *);
static const void *(*aes_128_gcm)(void);
static int (*encrypt_init)(void *, const void *, void *, const uint8_t *, const uint8_t *);
static int (*encrypt_update)(void *, uint8_t *, int *, const uint8_t *, int);
static int (*encrypt_final)(void *, uint8_t *, int *);
static int (*context_control)(void *, int, int, void *);

/* Bind libcrypto; 0 when all of it is there. */
int sf_bind(const char *library)
{
    void *found = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!found)
        return -1;
    *(void **)&context_new = dlsym(found, "EVP_CIPHER_CTX_new");
    *(void **)&context_free = dlsym(found, "EVP_CIPHER_CTX_free");
    *(void **)&aes_128_gcm = dlsym(found, "EVP_aes_128_gcm");
    *(void **)&encrypt_init = dlsym(found, "EVP_EncryptInit_ex");
    *(void **)&encrypt_update = dlsym(found, "EVP_EncryptUpdate");
    *(void **)&encrypt_final = dlsym(found, "EVP_EncryptFinal_ex");
    *(void **)&context_control = dlsym(found, "EVP_CIPHER_CTX_ctrl");
    return context_new && context_free && aes_128_gcm && encrypt_init && encrypt_update &&
                   encrypt_final && context_control
               ? 0
               : -1;
}

/* Open a context for a key of 16 bytes; NULL when that fails. */
void *sf_open(const uint8_t *key)
{
    void *context = context_new();
    if (context && encrypt_init(context, aes_128_gcm(), NULL, key, NULL) == 1)
        return context;
    if (context)
        context_free(context);
    return NULL;
}

void sf_close(void *context)
{
    context_free(context);
}

static int seal(const struct stream *stream, const struct packet *packet, const uint8_t *plain,
                uint8_t *out)
{
    const uint8_t *header = plain + packet->offset;
    uint64_t index = packet->index - stream->start;
    uint8_t nonce[NONCE_BYTES];
    int body = (int)(packet->size - packet->header), size = 0;
    memcpy(nonce, stream->nonce, NONCE_BYTES);
    for (int at = 0; at < 6; at++)
        nonce[NONCE_BYTES - 1 - at] ^= (uint8_t)(index >> (8 * at));
    memcpy(out, header, packet->header);
    return encrypt_init(stream->context, NULL, NULL, NULL, nonce) == 1 &&
           encrypt_update(stream->context, NULL, &size, header, (int)packet->header) == 1 &&
           encrypt_update(stream->context, out + packet->header, &size, header + packet->header,
                          body) == 1 &&
           encrypt_final(stream->context, out + packet->header + size, &size) == 1 &&
           context_control(stream->context, GET_TAG, TAG_BYTES, out + packet->size) == 1;
}

/* Find what may leave as one bundle: equal sizes, the last may be smaller. */
static uint32_t cut_runs(const struct packet *packets, uint32_t count, uint32_t segments_max,
                         uint32_t bytes_max, struct run *runs)
{
    uint32_t found = 0;
    for (uint32_t first = 0; first < count;) {
        uint32_t size = packets[first].size, end = first + 1;
        uint32_t limit = bytes_max / (size + 64);
        if (limit > segments_max)
            limit = segments_max;
        while (end < count && end - first < limit && packets[end].size == size)
            end++;
        if (end < count && end - first < limit && packets[end].size < size)
            end++;
        runs[found].first = first;
        runs[found++].end = end;
        first = end;
    }
    return found;
}

static int transmit(int fd, const uint8_t *names, uint8_t *slab, const struct message *messages,
                    uint32_t count, uint32_t *sent)
{
    struct mmsghdr headers[MESSAGES_MAX];
    struct iovec spans[MESSAGES_MAX];
    union {
        struct cmsghdr header;
        uint8_t room[CMSG_SPACE(sizeof(uint16_t))];
    } controls[MESSAGES_MAX];
    memset(headers, 0, count * sizeof *headers);
    for (uint32_t at = 0; at < count; at++) {
        struct msghdr *header = &headers[at].msg_hdr;
        spans[at].iov_base = slab + messages[at].offset;
        spans[at].iov_len = messages[at].size;
        header->msg_name = (void *)(names + (size_t)messages[at].target * NAME_BYTES);
        header->msg_namelen = NAME_BYTES;
        header->msg_iov = &spans[at];
        header->msg_iovlen = 1;
        if (messages[at].segment) {
            uint16_t segment = (uint16_t)messages[at].segment;
            header->msg_control = &controls[at];
            header->msg_controllen = sizeof controls[at].room;
            controls[at].header.cmsg_level = IPPROTO_UDP;
            controls[at].header.cmsg_type = UDP_SEGMENT_OPTION;
            controls[at].header.cmsg_len = CMSG_LEN(sizeof segment);
            memcpy(CMSG_DATA(&controls[at].header), &segment, sizeof segment);
        }
    }
    while (*sent < count) {
        int went = sendmmsg(fd, headers + *sent, count - *sent, 0);
        if (went > 0)
            *sent += (uint32_t)went;
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

/* Seal every packet for every target into the slab, then send it all, as far as the socket goes.
 *
 * Who is marked in `alone` gets datagrams, no bundles. Returns 0 or the errno of the first message that did not go: `written` messages are in
 * `messages`, the first `sent` of them went. A run that cannot be sealed for a target leaves no
 * message, and its packets are counted in `unsealed`, by target.
 */
int sf_send(int fd, const struct stream *streams, const uint8_t *names, const uint8_t *alone,
            uint32_t targets, const uint8_t *plain, const struct packet *packets, uint32_t count,
            uint32_t segments_max, uint32_t bytes_max, uint8_t *slab, struct message *messages,
            uint32_t *unsealed, uint32_t *written, uint32_t *sent)
{
    struct run runs[PACKETS_MAX], singles[PACKETS_MAX];
    uint32_t offset = 0, bundles = cut_runs(packets, count, segments_max, bytes_max, runs);
    cut_runs(packets, count, 1, bytes_max, singles);
    *written = *sent = 0;
    for (uint32_t target = 0; target < targets; target++) {
        const struct run *cut = alone[target] ? singles : runs;
        uint32_t found = alone[target] ? count : bundles;
        unsealed[target] = 0;
        for (uint32_t run = 0; run < found; run++) {
            const struct packet *first = packets + cut[run].first, *end = packets + cut[run].end;
            uint32_t begin = offset;
            const struct packet *packet = first;
            for (; packet < end; packet++) {
                if (packet->index < streams[target].start ||
                    !seal(&streams[target], packet, plain, slab + offset))
                    break;
                offset += packet->size + TAG_BYTES;
            }
            if (packet < end) {
                offset = begin;
                unsealed[target] += (uint32_t)(end - first);
                continue;
            }
            messages[*written].target = target;
            messages[*written].offset = begin;
            messages[*written].size = offset - begin;
            messages[*written].segment = end - first > 1 ? first->size + TAG_BYTES : 0;
            ++*written;
        }
    }
    return transmit(fd, names, slab, messages, *written, sent);
}
