/* Preloaded into a program: notes what it renames and syncs, in order, in the file BOP_SYNC_RECORD. A test
 * that reads it knows what a power cut would leave. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void note(const char* what, const char* path) {
  const char* record = getenv("BOP_SYNC_RECORD");
  char line[8192];
  const int length = snprintf(line, sizeof line, "%s %s\n", what, path);
  if (record == NULL || length <= 0 || (size_t)length >= sizeof line) return;
  const int file = open(record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0 || write(file, line, (size_t)length) != length) abort();
  close(file);
}

static int note_sync(int descriptor, int result) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (result != 0 || length < 0) return result;
  path[length] = '\0';
  note("sync", path);
  return result;
}

int fsync(int descriptor) {
  int (*real)(int);
  *(void**)&real = dlsym(RTLD_NEXT, "fsync");
  return note_sync(descriptor, real(descriptor));
}

int fdatasync(int descriptor) {
  int (*real)(int);
  *(void**)&real = dlsym(RTLD_NEXT, "fdatasync");
  return note_sync(descriptor, real(descriptor));
}

int rename(const char* from, const char* to) {
  int (*real)(const char*, const char*);
  *(void**)&real = dlsym(RTLD_NEXT, "rename");
  const int result = real(from, to);
  if (result == 0) note("rename", to);
  return result;
}
