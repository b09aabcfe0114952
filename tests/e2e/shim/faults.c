/* Preloaded into bopd: makes its calls on files fail, wait or stop halfway, and moves its wall clock, as the rules in the
 * file BOP_FAULTS say. README.md has the rules; the file is read at each call, so a test changes them while the process
 * runs. Calls on io_uring do not come through here: use io.backend = "pool". */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { max_control_bytes = 8192 };

struct rule {
  char call[16];
  char pattern[PATH_MAX];
  char action[16];
  char first[32];
  char second[32];
};

static void mistake(const char* what, const char* where) {
  fprintf(stderr, "faults.c: %s: %s\n", what, where);
  abort();
}

static int error_of(const char* name) {
  static const struct {
    const char* name;
    int number;
  } known[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EMFILE", EMFILE},
               {"ENOMEM", ENOMEM}, {"EROFS", EROFS},   {"EFBIG", EFBIG}};
  for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
    if (strcmp(name, known[i].name) == 0) return known[i].number;
  mistake("unknown error", name);
  return 0;
}

/* By system calls, since the functions are replaced below. A file that is missing or empty has no rules. */
static size_t read_control(char* text) {
  const char* control = getenv("BOP_FAULTS");
  if (control == NULL) return 0;
  const long file = syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  const long size = syscall(SYS_read, file, text, max_control_bytes - 1);
  syscall(SYS_close, file);
  return size > 0 ? (size_t)size : 0;
}

/* The first rule for this call on this path. */
static int find_rule(const char* call, const char* path, struct rule* out) {
  char text[max_control_bytes];
  const int saved = errno;
  text[read_control(text)] = '\0';
  errno = saved;
  char* rest = text;
  for (char* line; (line = strsep(&rest, "\n")) != NULL;) {
    memset(out, 0, sizeof *out);
    const int words = sscanf(line, "%15s %4095s %15s %31s %31s", out->call, out->pattern,
                             out->action, out->first, out->second);
    if (words <= 0) continue;
    if (words < 3) mistake("a rule is CALL PATTERN ACTION", line);
    if (strcmp(out->call, call) == 0 && fnmatch(out->pattern, path, 0) == 0) return 1;
  }
  return 0;
}

static void sleep_ms(long ms) {
  const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&time, NULL);
}

/* What a rule does to a call: fails with `error` after at most `bytes` were transferred; error 0: nothing. */
struct fault {
  int error;
  size_t bytes;
};

static struct fault fault_of(const char* call, const char* path) {
  struct rule rule;
  while (find_rule(call, path, &rule)) {
    if (strcmp(rule.action, "fail") == 0) return (struct fault){error_of(rule.first), 0};
    if (strcmp(rule.action, "tear") == 0)
      return (struct fault){error_of(rule.second), strtoul(rule.first, NULL, 10)};
    if (strcmp(rule.action, "delay") == 0) {
      sleep_ms(atol(rule.first));
      break;
    }
    if (strcmp(rule.action, "hold") != 0) mistake("unknown action", rule.action);
    sleep_ms(10); /* until the rule is gone */
  }
  return (struct fault){0, 0};
}

static struct fault fault_of_descriptor(const char* call, int descriptor) {
  char link[64], path[PATH_MAX];
  const int saved = errno;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  errno = saved;
  if (length <= 0 || path[0] != '/') return (struct fault){0, 0}; /* no file */
  path[length] = '\0';
  return fault_of(call, path);
}

static int failed(int error) {
  errno = error;
  return -1;
}

#define REAL(name)               \
  static __typeof__(&name) real; \
  if (real == NULL) *(void**)&real = dlsym(RTLD_NEXT, #name)

/* ---- writing ---- */

static ssize_t torn_write(int descriptor, const struct iovec* parts, int count, off_t offset,
                          struct fault fault) {
  size_t left = fault.bytes;
  for (int i = 0; i < count && left > 0; ++i) {
    const size_t size = parts[i].iov_len < left ? parts[i].iov_len : left;
    if (syscall(SYS_pwrite64, descriptor, parts[i].iov_base, size, offset) != (long)size) break;
    offset += (off_t)size;
    left -= size;
  }
  return failed(fault.error);
}

ssize_t pwritev(int descriptor, const struct iovec* parts, int count, off_t offset) {
  REAL(pwritev);
  const struct fault fault = fault_of_descriptor("write", descriptor);
  if (fault.error != 0) return torn_write(descriptor, parts, count, offset, fault);
  return real(descriptor, parts, count, offset);
}

ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t offset) {
  REAL(pwrite);
  const struct fault fault = fault_of_descriptor("write", descriptor);
  const struct iovec part = {(void*)(uintptr_t)bytes, size};
  if (fault.error != 0) return torn_write(descriptor, &part, 1, offset, fault);
  return real(descriptor, bytes, size, offset);
}

ssize_t write(int descriptor, const void* bytes, size_t size) {
  REAL(write);
  const struct fault fault = fault_of_descriptor("write", descriptor);
  if (fault.error != 0) return failed(fault.error);
  return real(descriptor, bytes, size);
}

ssize_t pwritev64(int descriptor, const struct iovec* parts, int count, off64_t offset) {
  return pwritev(descriptor, parts, count, offset);
}

ssize_t pwrite64(int descriptor, const void* bytes, size_t size, off64_t offset) {
  return pwrite(descriptor, bytes, size, offset);
}

/* ---- reading ---- */

ssize_t preadv(int descriptor, const struct iovec* parts, int count, off_t offset) {
  REAL(preadv);
  const struct fault fault = fault_of_descriptor("read", descriptor);
  return fault.error != 0 ? failed(fault.error) : real(descriptor, parts, count, offset);
}

ssize_t pread(int descriptor, void* bytes, size_t size, off_t offset) {
  REAL(pread);
  const struct fault fault = fault_of_descriptor("read", descriptor);
  return fault.error != 0 ? failed(fault.error) : real(descriptor, bytes, size, offset);
}

ssize_t preadv64(int descriptor, const struct iovec* parts, int count, off64_t offset) {
  return preadv(descriptor, parts, count, offset);
}

ssize_t pread64(int descriptor, void* bytes, size_t size, off64_t offset) {
  return pread(descriptor, bytes, size, offset);
}

/* ---- making durable ---- */

int fsync(int descriptor) {
  REAL(fsync);
  const struct fault fault = fault_of_descriptor("sync", descriptor);
  return fault.error != 0 ? failed(fault.error) : real(descriptor);
}

int fdatasync(int descriptor) {
  REAL(fdatasync);
  const struct fault fault = fault_of_descriptor("sync", descriptor);
  return fault.error != 0 ? failed(fault.error) : real(descriptor);
}

/* ---- space ---- */

int fallocate(int descriptor, int mode, off_t offset, off_t size) {
  REAL(fallocate);
  const struct fault fault = fault_of_descriptor("allocate", descriptor);
  return fault.error != 0 ? failed(fault.error) : real(descriptor, mode, offset, size);
}

int fallocate64(int descriptor, int mode, off64_t offset, off64_t size) {
  return fallocate(descriptor, mode, offset, size);
}

int ftruncate(int descriptor, off_t size) {
  REAL(ftruncate);
  const struct fault fault = fault_of_descriptor("allocate", descriptor);
  return fault.error != 0 ? failed(fault.error) : real(descriptor, size);
}

int ftruncate64(int descriptor, off64_t size) { return ftruncate(descriptor, size); }

static int with_space(int result, struct statvfs* status) {
  struct rule rule;
  if (result == 0 && find_rule("space", "*", &rule))
    status->f_bavail = status->f_bfree = strtoull(rule.first, NULL, 10) / status->f_frsize;
  return result;
}

int fstatvfs(int descriptor, struct statvfs* status) {
  REAL(fstatvfs);
  return with_space(real(descriptor, status), status);
}

int statvfs(const char* path, struct statvfs* status) {
  REAL(statvfs);
  return with_space(real(path, status), status);
}

/* The structures are the same where off_t has 64 bits. */
_Static_assert(sizeof(off_t) == sizeof(off64_t), "a system whose off_t has 64 bits");
int fstatvfs64(int descriptor, struct statvfs64* status) {
  return fstatvfs(descriptor, (struct statvfs*)status);
}
int statvfs64(const char* path, struct statvfs64* status) {
  return statvfs(path, (struct statvfs*)status);
}

/* ---- opening ---- */

static mode_t mode_of(int flags, va_list more) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
}

int openat(int directory, const char* path, int flags, ...) {
  REAL(openat);
  va_list more;
  va_start(more, flags);
  const mode_t mode = mode_of(flags, more);
  va_end(more);
  const struct fault fault = fault_of("open", path);
  return fault.error != 0 ? failed(fault.error) : real(directory, path, flags, mode);
}

int open(const char* path, int flags, ...) {
  REAL(open);
  va_list more;
  va_start(more, flags);
  const mode_t mode = mode_of(flags, more);
  va_end(more);
  const struct fault fault = fault_of("open", path);
  return fault.error != 0 ? failed(fault.error) : real(path, flags, mode);
}

/* ---- the wall clock ---- */

int clock_gettime(clockid_t clock, struct timespec* time) {
  const int result = (int)syscall(SYS_clock_gettime, clock, time);
  struct rule rule;
  if (result == 0 && clock == CLOCK_REALTIME && find_rule("clock", "*", &rule))
    time->tv_sec += atol(rule.first);
  return result;
}
