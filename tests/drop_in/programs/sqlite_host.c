/* Opens SQLite with dlopen and uses it: SQL, JSON, a callback out of the library, two threads. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct sqlite3 sqlite3;
typedef struct context context;
typedef struct value value;
static int (*db_open)(const char *, sqlite3 **);
static int (*db_close)(sqlite3 *);
static int (*db_exec)(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *, char **);
static int (*db_function)(sqlite3 *, const char *, int, int, void *,
                          void (*)(context *, int, value **), void *, void *);
static int (*value_int)(value *);
static void (*result_int)(context *, int);

static void *symbol(void *library, const char *name) {
    void *found = dlsym(library, name);
    if (!found) { fprintf(stderr, "%s\n", dlerror()); exit(1); }
    return found;
}

static int row(void *out, int columns, char **values, char **names) {
    (void)names;
    for (int i = 0; i < columns; i++) fprintf(out, "%s%s", i ? "|" : "", values[i] ? values[i] : "NULL");
    fputc('\n', out);
    return 0;
}

static void triple(context *c, int n, value **v) { (void)n; result_int(c, 3 * value_int(v[0])); }

static void query(sqlite3 *db, FILE *out, const char *sql) {
    char *message = 0;
    if (db_exec(db, sql, row, out, &message)) { fprintf(stderr, "%s: %s\n", sql, message); exit(1); }
}

static void *work(void *out) {
    sqlite3 *db;
    if (db_open(":memory:", &db)) exit(1);
    query(db, out, "create table t(id integer primary key, name text, price real)");
    query(db, out, "begin; with recursive n(i) as (select 1 union all select i+1 from n where i<2000)"
                   " insert into t select i, 'item ' || (i * 7919 % 1000), i / 8.0 from n; commit");
    query(db, out, "create index by_name on t(name)");
    db_function(db, "triple", 1, 1, 0, triple, 0, 0);
    query(db, out, "select count(*), sum(triple(id)), round(avg(price), 3) from t");
    query(db, out, "select a.id, b.id from t a join t b on a.name = b.name and a.id < b.id"
                   " order by a.id limit 3");
    query(db, out, "select json_extract('{\"a\":[1,2,{\"b\":\"deep\"}]}', '$.a[2].b')");
    query(db, out, "select id, rank() over (order by price desc) from t order by id desc limit 1");
    query(db, out, "select printf('%.4f %s', 2.5, hex(x'00ff')), lower('ÄBC'), 7 / 0, 1e300 * 1e300");
    query(db, out, "pragma integrity_check");
    db_close(db);
    return 0;
}

int main(int argc, char **argv) {
    (void)argc;
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) { fprintf(stderr, "%s\n", dlerror()); return 1; }
    *(void **)&db_open = symbol(library, "sqlite3_open");
    *(void **)&db_close = symbol(library, "sqlite3_close");
    *(void **)&db_exec = symbol(library, "sqlite3_exec");
    *(void **)&db_function = symbol(library, "sqlite3_create_function");
    *(void **)&value_int = symbol(library, "sqlite3_value_int");
    *(void **)&result_int = symbol(library, "sqlite3_result_int");
    char *text[2];
    size_t size[2];
    FILE *out[2];
    pthread_t thread[2];
    for (int i = 0; i < 2; i++) {
        out[i] = open_memstream(&text[i], &size[i]);
        pthread_create(&thread[i], 0, work, out[i]);
    }
    for (int i = 0; i < 2; i++) { pthread_join(thread[i], 0); fclose(out[i]); }
    if (strcmp(text[0], text[1])) { fprintf(stderr, "threads differ\n%s\n%s\n", text[0], text[1]); return 1; }
    fputs(text[0], stdout);
    return dlclose(library);
}
