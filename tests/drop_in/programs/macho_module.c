/* The other image: what it sees of the first one. */
extern int f(int), w(void), size(void);
extern int g, *pg, *pe;
extern const char *str;
extern __thread int tl, tb;
__attribute__((weak)) int w(void) { return 77; }
extern int *where_w(void);
int common_[10];
int probe(int n) {
    switch (n) {
    case 0: return f(3);
    case 1: return w();
    case 2: return g;
    case 3: return *pg;
    case 4: return *pe;
    case 5: return str[1];
    case 6: return ++tl;
    case 7: return tb += 5;
    case 8: return where_w() == (int *)&w;
    case 9: return size();
    }
    return -1;
}
