#include "bank_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 31, ACCOUNTS_MAX = 1 << 20, REPLY_BYTES = 32 };

#define AMOUNT_MAX INT64_C(1000000000)
#define BALANCE_MAX INT64_C(1000000000000000)

typedef struct account {
  char name[NAME_MAX_BYTES + 1];
  int64_t balance;
} account;

/* A snapshot that bop is reading: a copy of the accounts, so that commands can go on. */
typedef struct snapshot {
  uint64_t handle;
  account* accounts;
  size_t count;
  size_t next;     /* the first account of the next part */
  char* part;      /* the part that was passed last */
  size_t capacity; /* bytes of `part` */
  char label[2];
  struct snapshot* following;
} snapshot;

struct bop_machine {
  bop_machine_host host;
  account* accounts; /* by name */
  size_t count;
  size_t capacity;
  bop_position applied;
  snapshot* snapshots;
  char* part; /* of a restore: the pieces so far of the part that arrives */
  size_t part_size;
  char answer[REPLY_BYTES];     /* of the last query */
  char (*replies)[REPLY_BYTES]; /* of the last batch */
  size_t reply_capacity;
};

/* ---- accounts ---- */

/* The place of that name, or where it belongs. */
static size_t place_of(const bop_machine* bank, const char* name) {
  size_t low = 0;
  size_t high = bank->count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (strcmp(bank->accounts[middle].name, name) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static account* find(bop_machine* bank, const char* name) {
  const size_t place = place_of(bank, name);
  if (place == bank->count || strcmp(bank->accounts[place].name, name) != 0) return NULL;
  return &bank->accounts[place];
}

static account* insert(bop_machine* bank, const char* name, int64_t balance) {
  const size_t place = place_of(bank, name);
  if (bank->count == bank->capacity) {
    const size_t capacity = bank->capacity == 0 ? 64 : 2 * bank->capacity;
    account* larger = (account*)realloc(bank->accounts, capacity * sizeof *larger);
    if (larger == NULL) return NULL;
    bank->accounts = larger;
    bank->capacity = capacity;
  }
  memmove(bank->accounts + place + 1, bank->accounts + place,
          (bank->count - place) * sizeof *bank->accounts);
  memset(&bank->accounts[place], 0, sizeof bank->accounts[place]);
  strcpy(bank->accounts[place].name, name);
  bank->accounts[place].balance = balance;
  ++bank->count;
  return &bank->accounts[place];
}

/* ---- text ---- */

/* Both advance *at, and return 0 if what is there is something else. */
static int read_word(const char** at, const char* end, char* word, size_t capacity) {
  size_t size = 0;
  while (*at < end && **at >= 'a' && **at <= 'z') {
    if (size + 1 == capacity) return 0;
    word[size++] = *(*at)++;
  }
  word[size] = '\0';
  return size > 0;
}
static int read_number(const char** at, const char* end, int64_t most, int64_t* number) {
  const char* begin = *at;
  *number = 0;
  while (*at < end && **at >= '0' && **at <= '9') {
    *number = 10 * *number + (*(*at)++ - '0');
    if (*number > most) return 0;
  }
  return *at > begin && (*begin != '0' || *at == begin + 1);
}
static int read_char(const char** at, const char* end, char wanted) {
  if (*at == end || **at != wanted) return 0;
  ++*at;
  return 1;
}

typedef struct command {
  char verb[NAME_MAX_BYTES + 1];
  char name[NAME_MAX_BYTES + 1];
  char to[NAME_MAX_BYTES + 1];
  int64_t amount;
} command;

static int32_t parse_command(bop_bytes text, command* out) {
  const char* at = (const char*)text.data;
  const char* end = at + text.size;
  memset(out, 0, sizeof *out);
  if (!read_word(&at, end, out->verb, sizeof out->verb) || !read_char(&at, end, ' ') ||
      !read_word(&at, end, out->name, sizeof out->name))
    return BOP_E_PROTOCOL;
  if (strcmp(out->verb, "open") == 0) return at == end ? BOP_OK : BOP_E_PROTOCOL;
  if (strcmp(out->verb, "transfer") == 0) {
    if (!read_char(&at, end, ' ') || !read_word(&at, end, out->to, sizeof out->to))
      return BOP_E_PROTOCOL;
  } else if (strcmp(out->verb, "deposit") != 0) {
    return BOP_E_PROTOCOL;
  }
  if (!read_char(&at, end, ' ') || !read_number(&at, end, AMOUNT_MAX, &out->amount) ||
      out->amount == 0 || at != end)
    return BOP_E_PROTOCOL;
  return BOP_OK;
}

static bop_bytes bytes_of(const char* text, size_t size) {
  bop_bytes out;
  out.data = (const uint8_t*)text;
  out.size = size;
  return out;
}
static void reply_number(bop_reply* reply, char* text, int64_t number) {
  const int size = snprintf(text, REPLY_BYTES, "%lld", (long long)number);
  reply->status = BOP_OK;
  reply->body = bytes_of(text, (size_t)size);
}

/* ---- commands and queries ---- */

/* The status of the reply, or *balance. Checks everything before it changes anything. */
static int32_t execute(bop_machine* bank, const command* order, int64_t* balance) {
  account* from = find(bank, order->name);
  account* to;
  if (strcmp(order->verb, "open") == 0) {
    if (from != NULL) return BOP_E_CONDITION_FAILED;
    if (bank->count == ACCOUNTS_MAX) return BOP_E_TOO_LARGE;
    /* Without memory this replica cannot follow the others. */
    if (insert(bank, order->name, 0) == NULL) return BOP_E_INTERNAL;
    *balance = 0;
    return BOP_OK;
  }
  if (from == NULL) return BOP_E_NOT_FOUND;
  if (strcmp(order->verb, "deposit") == 0) {
    if (from->balance > BALANCE_MAX - order->amount) return BOP_E_OVERFLOW;
    *balance = from->balance += order->amount;
    return BOP_OK;
  }
  to = find(bank, order->to);
  if (to == NULL) return BOP_E_NOT_FOUND;
  if (from->balance < order->amount) return BOP_E_CONDITION_FAILED;
  if (from != to && to->balance > BALANCE_MAX - order->amount) return BOP_E_OVERFLOW;
  from->balance -= order->amount;
  to->balance += order->amount;
  *balance = from->balance;
  return BOP_OK;
}

static int32_t apply(bop_machine* bank, const bop_entry* entries, size_t count, bop_reply* replies,
                     uint64_t token) {
  size_t i;
  (void)token;
  if (count > bank->reply_capacity) {
    void* larger = realloc(bank->replies, count * sizeof *bank->replies);
    if (larger == NULL) return BOP_E_INTERNAL;
    bank->replies = (char(*)[REPLY_BYTES])larger;
    bank->reply_capacity = count;
  }
  for (i = 0; i < count; ++i) {
    command order;
    int64_t balance = 0;
    int32_t status = parse_command(entries[i].command, &order);
    if (status == BOP_OK) status = execute(bank, &order, &balance);
    if (status == BOP_E_INTERNAL) return status;
    if (status == BOP_OK)
      reply_number(&replies[i], bank->replies[i], balance);
    else
      replies[i].status = status;
    bank->applied.index = entries[i].index;
    bank->applied.term = entries[i].term;
  }
  return BOP_OK;
}

static int32_t query(bop_machine* bank, bop_bytes question, bop_reply* reply, uint64_t token) {
  const char* at = (const char*)question.data;
  const char* end = at + question.size;
  char verb[NAME_MAX_BYTES + 1];
  char name[NAME_MAX_BYTES + 1];
  (void)token;
  reply->status = BOP_E_PROTOCOL;
  if (!read_word(&at, end, verb, sizeof verb)) return BOP_OK;
  if (strcmp(verb, "total") == 0 && at == end) {
    int64_t total = 0;
    size_t i;
    for (i = 0; i < bank->count; ++i) total += bank->accounts[i].balance;
    reply_number(reply, bank->answer, total);
  } else if (strcmp(verb, "balance") == 0 && read_char(&at, end, ' ') &&
             read_word(&at, end, name, sizeof name) && at == end) {
    const account* found = find(bank, name);
    if (found == NULL)
      reply->status = BOP_E_NOT_FOUND;
    else
      reply_number(reply, bank->answer, found->balance);
  }
  return BOP_OK;
}

static int32_t check(bop_machine* bank, bop_bytes text) {
  command order;
  (void)bank;
  return parse_command(text, &order);
}

static bop_position applied(bop_machine* bank) { return bank->applied; }

/* FNV-1a, twice with different beginnings. */
static int32_t state_hash(bop_machine* bank, bop_state_hash* hash) {
  size_t i;
  size_t k;
  hash->index = bank->applied.index;
  hash->low = UINT64_C(0xcbf29ce484222325);
  hash->high = UINT64_C(0x84222325cbf29ce4);
  for (i = 0; i < bank->count; ++i) {
    char line[NAME_MAX_BYTES + REPLY_BYTES];
    const int size = snprintf(line, sizeof line, "%s %lld\n", bank->accounts[i].name,
                              (long long)bank->accounts[i].balance);
    for (k = 0; k < (size_t)size; ++k) {
      hash->low = (hash->low ^ (uint8_t)line[k]) * UINT64_C(0x100000001b3);
      hash->high = (hash->high ^ (uint8_t)line[k]) * UINT64_C(0x100000001b3);
    }
  }
  return BOP_OK;
}

/* ---- snapshots ----
 *
 * One part for each first letter of the names: "NAME BALANCE" and a line feed for each account. After a change only the
 * parts of the changed accounts are others; bop stores and sends the rest once. */

static snapshot** find_snapshot(bop_machine* bank, uint64_t handle) {
  snapshot** at = &bank->snapshots;
  while (*at != NULL && (*at)->handle != handle) at = &(*at)->following;
  return at;
}

static int32_t snapshot_begin(bop_machine* bank, const bop_snapshot_options* options,
                              uint64_t token) {
  snapshot* made = (snapshot*)calloc(1, sizeof *made);
  (void)token;
  if (made == NULL) return BOP_E_INTERNAL;
  made->accounts = (account*)malloc((bank->count + 1) * sizeof *made->accounts);
  if (made->accounts == NULL) {
    free(made);
    return BOP_E_INTERNAL;
  }
  if (bank->count > 0) memcpy(made->accounts, bank->accounts, bank->count * sizeof *made->accounts);
  made->count = bank->count;
  made->handle = options->handle;
  made->following = bank->snapshots;
  bank->snapshots = made;
  bank->host.snapshot_point(bank->host.context, options->handle);
  return BOP_OK;
}

static int32_t snapshot_next(bop_machine* bank, uint64_t handle, bop_part* part, uint64_t token) {
  snapshot* from = *find_snapshot(bank, handle);
  size_t size = 0;
  (void)token;
  if (from->next == from->count) {
    part->kind = BOP_PART_END;
    return BOP_OK;
  }
  from->label[0] = from->accounts[from->next].name[0];
  while (from->next < from->count && from->accounts[from->next].name[0] == from->label[0]) {
    const account* each = &from->accounts[from->next];
    if (from->capacity - size < NAME_MAX_BYTES + REPLY_BYTES) {
      const size_t capacity = 2 * from->capacity + 4096;
      char* larger = (char*)realloc(from->part, capacity);
      if (larger == NULL) return BOP_E_INTERNAL;
      from->part = larger;
      from->capacity = capacity;
    }
    size += (size_t)snprintf(from->part + size, from->capacity - size, "%s %lld\n", each->name,
                             (long long)each->balance);
    ++from->next;
  }
  part->kind = BOP_PART_BYTES;
  part->label = bytes_of(from->label, 1);
  part->bytes = bytes_of(from->part, size);
  return BOP_OK;
}

static void snapshot_end(bop_machine* bank, uint64_t handle) {
  snapshot** at = find_snapshot(bank, handle);
  snapshot* ended = *at;
  if (ended == NULL) return;
  *at = ended->following;
  free(ended->accounts);
  free(ended->part);
  free(ended);
}

static int32_t restore_begin(bop_machine* bank, const bop_restore_options* options,
                             uint64_t token) {
  (void)token;
  if (strcmp(options->kind, "bank") != 0 || bank->count != 0 || bank->applied.index != 0)
    return BOP_E_INVALID_ARGUMENT;
  return options->version == 1 ? BOP_OK : BOP_E_NEWER_FORMAT;
}

static int32_t restore_accounts(bop_machine* bank, char first, const char* at, const char* end) {
  while (at < end) {
    char name[NAME_MAX_BYTES + 1];
    int64_t balance;
    if (!read_word(&at, end, name, sizeof name) || !read_char(&at, end, ' ') ||
        !read_number(&at, end, BALANCE_MAX, &balance) || !read_char(&at, end, '\n') ||
        name[0] != first || find(bank, name) != NULL || bank->count == ACCOUNTS_MAX)
      return BOP_E_DAMAGED;
    if (insert(bank, name, balance) == NULL) return BOP_E_INTERNAL;
  }
  return BOP_OK;
}

/* A part may come in pieces. */
static int32_t restore_part(bop_machine* bank, const bop_part* part, uint64_t token) {
  int32_t status;
  (void)token;
  if (part->kind != BOP_PART_BYTES) return BOP_E_UNSUPPORTED;
  if (bank->part_size + part->bytes.size > BOP_PART_SIZE_MAX) return BOP_E_TOO_LARGE;
  if (part->bytes.size > 0) {
    char* larger = (char*)realloc(bank->part, bank->part_size + part->bytes.size);
    if (larger == NULL) return BOP_E_INTERNAL;
    memcpy(larger + bank->part_size, part->bytes.data, part->bytes.size);
    bank->part = larger;
    bank->part_size += part->bytes.size;
  }
  if ((part->flags & BOP_PART_MORE) != 0) return BOP_OK;
  status =
      restore_accounts(bank, (char)part->label.data[0], bank->part, bank->part + bank->part_size);
  bank->part_size = 0;
  return status;
}

static int32_t restore_end(bop_machine* bank, bop_position position, uint64_t token) {
  (void)token;
  bank->applied = position;
  return BOP_OK;
}

/* ---- opening ---- */

static int32_t open_bank(const bop_machine_table* self, const bop_machine_host* host,
                         const bop_machine_options* options, bop_machine** machine, char* error,
                         size_t error_capacity) {
  bop_machine* bank = (bop_machine*)calloc(1, sizeof *bank);
  (void)self;
  (void)options;
  if (bank == NULL) {
    snprintf(error, error_capacity, "out of memory");
    return BOP_E_INTERNAL;
  }
  bank->host = *host;
  *machine = bank;
  return BOP_OK;
}

static void close_bank(bop_machine* bank) {
  while (bank->snapshots != NULL) snapshot_end(bank, bank->snapshots->handle);
  free(bank->accounts);
  free(bank->part);
  free(bank->replies);
  free(bank);
}

const bop_machine_table* bank_machine(void) {
  static const bop_machine_table table = {
      .size = sizeof table,
      .abi = BOP_MACHINE_ABI,
      .kind = "bank",
      .version = 1,
      .version_min = 1,
      .open = open_bank,
      .apply = apply,
      .query = query,
      .applied = applied,
      .state_hash = state_hash,
      .snapshot_begin = snapshot_begin,
      .snapshot_next = snapshot_next,
      .snapshot_end = snapshot_end,
      .restore_begin = restore_begin,
      .restore_part = restore_part,
      .restore_end = restore_end,
      .close = close_bank,
      .check = check,
  };
  return &table;
}
