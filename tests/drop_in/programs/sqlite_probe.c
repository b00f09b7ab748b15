/* SQLite without an operating system: a database in memory, asked for a number. */
#include <string.h>
#include "sqlite3.h"

static int no_open(sqlite3_vfs *v, const char *n, sqlite3_file *f, int flags, int *out) { return SQLITE_CANTOPEN; }
static int no_delete(sqlite3_vfs *v, const char *n, int sync) { return SQLITE_OK; }
static int no_access(sqlite3_vfs *v, const char *n, int flags, int *out) { *out = 0; return SQLITE_OK; }
static int full_path(sqlite3_vfs *v, const char *n, int len, char *out) { strcpy(out, n); return SQLITE_OK; }
static int randomness(sqlite3_vfs *v, int len, char *out) { memset(out, 7, len); return len; }
static int no_sleep(sqlite3_vfs *v, int us) { return us; }
static int now(sqlite3_vfs *v, double *out) { *out = 2460000.5; return SQLITE_OK; }
static sqlite3_vfs vfs = {
    .iVersion = 1, .szOsFile = sizeof(sqlite3_file), .mxPathname = 64, .zName = "none",
    .xOpen = no_open, .xDelete = no_delete, .xAccess = no_access, .xFullPathname = full_path,
    .xRandomness = randomness, .xSleep = no_sleep, .xCurrentTime = now,
};
int sqlite3_os_init(void) { return sqlite3_vfs_register(&vfs, 1); }
int sqlite3_os_end(void) { return SQLITE_OK; }

static int number(void *out, int columns, char **values, char **names) {
    long value = 0;
    for (const char *digit = values[0]; *digit; digit++) value = value * 10 + *digit - '0';
    *(long *)out = value;
    return 0;
}

long probe(long rows) {
    sqlite3 *db;
    long sum = -1;
    char *query = sqlite3_mprintf(
        "create table t(a integer primary key, b text);"
        "with recursive n(x) as (select 1 union all select x + 1 from n where x < %lld)"
        "insert into t select x, printf('row %%05d', x * 7 %% 1000) from n;"
        "create index i on t(b);"
        "select sum(a) from t where b between 'row 00100' and %Q;", (long long)rows, "row 00500");
    if (sqlite3_open(":memory:", &db) != SQLITE_OK) return -2;
    if (sqlite3_exec(db, query, number, &sum, 0) != SQLITE_OK) return -3;
    sqlite3_free(query);
    sqlite3_close(db);
    return sum;
}
