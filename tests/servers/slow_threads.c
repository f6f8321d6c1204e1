/* Loaded before a program: each thread that librdkafka starts sleeps first, so that whoever opens a client waits. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

struct begin {
  thrd_start_t run;
  void *with;
};

static int late(void *given) {
  struct begin begin = *(struct begin *)given;
  free(given);
  thrd_sleep(&(struct timespec){.tv_sec = 60}, NULL);
  return begin.run(begin.with);
}

int thrd_create(thrd_t *thread, thrd_start_t run, void *with) {
  int (*create)(thrd_t *, thrd_start_t, void *);
  create = (int (*)(thrd_t *, thrd_start_t, void *))dlsym(RTLD_NEXT, "thrd_create");
  struct begin *begin = malloc(sizeof *begin);
  *begin = (struct begin){run, with};
  return create(thread, late, begin);
}
