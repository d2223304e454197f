/* Shifts CLOCK_REALTIME of a process by as many seconds as a file says, so that a clock can jump while the process runs.
   Loaded through LD_PRELOAD, by the perturbation alone: the product has no switch for its time. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int (*real)(clockid_t, struct timespec *);
static const volatile int64_t *shift;

__attribute__((constructor)) static void begin(void) {
  real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  const char *path = getenv("KEYWRIGHT_PERTURB_CLOCK");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *seen = mmap(0, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
  if (seen != MAP_FAILED) shift = seen;
  close(file);
}

int clock_gettime(clockid_t id, struct timespec *time) {
  if (!real) begin();
  int failed = real(id, time);
  if (!failed && id == CLOCK_REALTIME && shift) time->tv_sec += *shift;
  return failed;
}
