/*
 * Linked into the shim that is built with sanitizers, and only there: a shim has
 * no environment and no standard error, so its findings go to a file that
 * shim-sanitized.test.ts looks for.
 */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void) {
  return "log_path=/tmp/mydocker-sanitizer:detect_leaks=0:print_stacktrace=1";
}

const char *__ubsan_default_options(void) { return "log_path=/tmp/mydocker-sanitizer:print_stacktrace=1"; }
