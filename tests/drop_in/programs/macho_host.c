/* Names that another image refers to, of every kind: data, pointers, weak, common, thread-local. */
int ext(int x) { return x * 2; }
int extv = 7, g = 5;
static int s = 7;
int *pg = &g, *pe = &extv;
const char *str = "hello";
__thread int tl = 3, tb;
int f(int x) { return x + g + s++ + ext(x) + extv; }
__attribute__((weak)) int w(void) { return 1; }
__attribute__((weak)) int *where_w(void) { return (int *)&w; }
__attribute__((visibility("hidden"))) int h(void) { return w() + tl + tb; }
int common_[10];
__attribute__((constructor)) static void start(void) { g++; }
int (*fp)(int) = f;
int size(void) { return (int)sizeof common_ + h() - h(); }
int entry(void) { return fp(3) + h() + (str[4] == 'o') + 2; }
