/* Loaded before a program, it gives it a wall clock that stands so many seconds off as the file CLOCK_FILE says. Waits that
 * end at a time of that clock end by it, as with a real clock that somebody sets: libfaketime fakes what time it is, but
 * not C11's waits, which then never end, or at once. Monotonic clocks are right. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define AGAIN (20 * SECOND / 1000)  /* how often the file is read */
#define SLICE (50 * SECOND / 1000)  /* how soon a wait sees that the clock was set */
#define LONG_AGO 1000000000         /* seconds: a time before is one of the monotonic clock */

static _Atomic long long offset, read_at;

static long long right(clockid_t clock) {
  struct timespec ts;
  syscall(SYS_clock_gettime, clock, &ts);
  return ts.tv_sec * SECOND + ts.tv_nsec;
}

static long long set_off(void) {
  long long now = right(CLOCK_MONOTONIC), before = atomic_load(&read_at);
  if (now - before < AGAIN || !atomic_compare_exchange_strong(&read_at, &before, now)) return atomic_load(&offset);
  int was = errno;
  char text[32];
  const char *path = getenv("CLOCK_FILE");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  long got = file < 0 ? 0 : read(file, text, sizeof text - 1);
  if (file >= 0) close(file);
  if (got > 0) {
    text[got] = 0;
    atomic_store(&offset, atoll(text) * SECOND);
  }
  errno = was;
  return atomic_load(&offset);
}

static struct timespec spec(long long ns) { return (struct timespec){ns / SECOND, ns % SECOND}; }

int clock_gettime(clockid_t clock, struct timespec *ts) {
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) return syscall(SYS_clock_gettime, clock, ts);
  *ts = spec(right(clock) + set_off());
  return 0;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
  (void)zone;
  struct timespec ts = spec(right(CLOCK_REALTIME) + set_off());
  *tv = (struct timeval){ts.tv_sec, ts.tv_nsec / 1000};
  return 0;
}

time_t time(time_t *at) {
  time_t now = spec(right(CLOCK_REALTIME) + set_off()).tv_sec;
  if (at) *at = now;
  return now;
}

int timespec_get(struct timespec *ts, int base) {
  if (base != TIME_UTC) return 0;
  clock_gettime(CLOCK_REALTIME, ts);
  return base;
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
  static int (*wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  if (!wait) {
    /* The newest version of it: another one is for programs of another age. */
    void *found = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!found) found = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    wait = (int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *))found;
  }
  if (until->tv_sec < LONG_AGO) return wait(cond, mutex, until);
  long long now = right(CLOCK_REALTIME), left = until->tv_sec * SECOND + until->tv_nsec - now - set_off();
  if (left <= 0) return ETIMEDOUT;
  struct timespec soon = spec(now + (left < SLICE ? left : SLICE));
  int end = wait(cond, mutex, &soon);
  /* Woken for nothing, as it may happen any time; the program looks and waits on. */
  return end == ETIMEDOUT && left > SLICE ? 0 : end;
}

int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex, const struct timespec *restrict until) {
  switch (pthread_cond_timedwait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex, until)) {
    case 0: return thrd_success;
    case ETIMEDOUT: return thrd_timedout;
    default: return thrd_error;
  }
}
