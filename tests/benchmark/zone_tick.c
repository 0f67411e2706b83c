/* The measure of a whole tick: the same work in C. Compiled by tests/benchmark/tick.py, with -ffp-contract=off.

Receives and opens all inputs, plays them, moves everybody, finds the nearest 64 of each, encodes changes against
what each was sent and acknowledged, seals, sends: the rules of docs/protocol.md and the algorithms of
zonecluster/, so that both write the same bytes. Left out is what the workload does not have: creatures,
portals, effects, commands, hidden and always visible ones. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <time.h>
#include "packets_loop.c"

enum { PLACES = 64, TICKS = 32, MAX_PAYLOAD = 1150, HEAD = 34, ENTITY = 16, LEAST = HEAD + ENTITY };
enum { INPUT = 2, INPUT_HEAD = 6, RECORD = 8, MAX_RECORDS = 16 };
enum { WHOLE = 0xFF, LEFT = 0x80, WHOLE_BYTES = 1 + ENTITY };
enum { SMALL = 96, MAX_LINES = 128, DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, SLACK = 8, MOST_TURNS = 40, LOT_LIMIT = 12 };
/* Given by the compiler's command line, as they are in zonecluster/: MAX_PENDING BUFFER_TICKS STALE_TICKS LATE_TICKS
   FOCUS RECENT URGENT URGENT_TICKS NEVER_SEEN_TICKS FAR_WEIGHT */
#define EMPTY_PLACE 0xFFFFFFFFu
#define ROW_BITS 0xFFFFFFu
#define ROWS_PER_CELL 4.0
#define WIDER 1.25f
#define NARROWER (1.0 - 1e-5)
#define TICK_S 0.05f

struct entity {
    uint32_t id;
    uint16_t x, y;
    int16_t z;
    uint8_t heading, speed, animation, health, effects, kind_flags;
} __attribute__((packed));

/* Columns by row, as in zonecluster/simulation/tables.py; the memory is numpy's. */
struct tables {
    int64_t rows, places;
    int32_t *place;
    uint32_t *entity, *group, *selected;
    uint8_t *kind, *animation, *effects, *is_linked;
    float *extent, *position, *velocity, *heading_deg, *top_speed, *wish, *health;
    int64_t *input_tick, *cursor, *newest_seq, *late_since_tick;
    uint64_t *playing, *pending;
    uint16_t *corrections;
    double *metres_walked;
    uint32_t *numbers; /* by place: of its instance */
};

/* Columns by link slot, as in zonecluster/snapshots/baselines.py. */
struct views {
    int64_t viewers, bytes_per_tick, full_bucket;
    int64_t *rows, *slots;     /* by viewer */
    int64_t *row_of_slot;
    uint32_t *words;           /* (slots, 32, 64) */
    uint8_t *places;           /* (slots, 32) */
    uint32_t *ticks;           /* (slots, 32) */
    uint32_t *latest, *acknowledged;
    int64_t *bucket;
    struct entity *history;    /* (32, rows) */
    uint8_t *payloads;         /* (viewers, 1150) */
    int64_t *lengths;
    int32_t *seen, *counts;    /* (viewers, 64), (viewers,) */
    uint32_t *stamps;          /* by row: who looked last, and at which rank he saw it */
};

/* Scratch of interest: as in zonecluster/interest/grid.py. */
struct work {
    int *place_starts, *by_place, *viewer_of, *order, *by_cell, *slab_of, *cell_of, *rows, *found, *near_rows, *ranks, *taken, *chosen_rows;
    uint32_t *keys, *spare_keys;
    float *xs, *ys, *squares, *near, *chosen;
    int digits[3][DIGITS], cell_starts[MAX_LINES * MAX_LINES + 1];
    float slab_lines[MAX_LINES], column_lines[MAX_LINES];
};

struct zone {
    struct loop *loop;
    struct tables t;
    struct views v;
    struct work w;
    struct { uint64_t *due; uint8_t *said; int64_t *before; uint8_t *moved; } inputs;
    uint64_t stages_ns[7]; /* of the last tick: receive, inputs, simulation, records, interest, encode, send */
};

/* ---------------------------------------------------------------- inputs */

static uint32_t u32_at(const uint8_t *data) { uint32_t value; memcpy(&value, data, 4); return value; }

static void acknowledge(struct views *v, int slot, uint32_t tick) {
    if (tick && v->ticks[slot * TICKS + tick % TICKS] == tick && tick > v->acknowledged[slot]) v->acknowledged[slot] = tick;
}

static int is_stale(const struct tables *t, int64_t row, int64_t tick) {
    return t->kind[row] == 0 && tick - t->input_tick[row] > STALE_TICKS;
}

static int is_sound(const uint8_t *data, int length) {
    int count = data[1];
    return data[0] == INPUT && count >= 1 && count <= MAX_RECORDS && length == INPUT_HEAD + RECORD * count;
}

static uint64_t key_of(const uint8_t *record) {
    uint64_t word;
    memcpy(&word, record, 8);
    return word << 32 | word >> 32;
}

static void set_cursor(struct zone *z, int64_t row, int64_t tick) {
    struct tables *t = &z->t;
    int64_t newest = t->newest_seq[row];
    int begins = z->inputs.moved[row], rose = newest > z->inputs.before[row];
    if (rose) t->input_tick[row] = tick;
    int64_t lead = newest - t->cursor[row];
    int late = rose && lead < 0;
    if (rose && !late) t->late_since_tick[row] = 0;
    if (late && t->late_since_tick[row] == 0) t->late_since_tick[row] = tick;
    int lags = late && tick - t->late_since_tick[row] >= LATE_TICKS;
    int moved = begins || lags || (rose && lead > MAX_PENDING);
    if (moved) {
        t->cursor[row] = newest - BUFFER_TICKS > 1 ? newest - BUFFER_TICKS : 1;
        t->late_since_tick[row] = 0;
    }
    z->inputs.moved[row] = moved && !begins;
    if (moved && !begins && (t->wish[2 * row] != 0 || t->wish[2 * row + 1] != 0)) t->corrections[row]++;
}

static void play(struct tables *t, int64_t row, uint64_t key) {
    t->playing[row] = key;
    int8_t move_x = (int8_t)key, move_y = (int8_t)(key >> 8);
    float x = move_x, y = move_y, length = hypotf(x, y);
    int cut = length > 127;
    float by = cut ? length : 127.0f;
    t->wish[2 * row] = x / by;
    t->wish[2 * row + 1] = y / by;
    t->heading_deg[row] = (float)(uint8_t)(key >> 16) * (float)(360.0 / 256);
    t->corrections[row] += cut;
}

void play_inputs(struct zone *z, int64_t tick) {
    struct tables *t = &z->t;
    struct loop *loop = z->loop;
    for (int64_t row = 0; row < t->rows; row++) t->cursor[row] += t->cursor[row] > 0;
    memset(z->inputs.said, 0, t->rows);
    memset(z->inputs.moved, 0, t->rows);
    memset(z->inputs.due, 0, t->rows * sizeof(uint64_t));
    for (int at = 0; at < loop->arrived; at++) {
        const uint8_t *data = loop->arrivals + (size_t)at * ARRIVAL_BYTES;
        int slot = loop->slots[at];
        int64_t row = z->v.row_of_slot[slot];
        if (row < 0 || !is_sound(data, loop->lengths[at])) { loop->slots[at] = -1; continue; }
        acknowledge(&z->v, slot, u32_at(data + 2));
        for (int number = 0; number < data[1]; number++) {
            int64_t seq = u32_at(data + INPUT_HEAD + RECORD * number);
            if (seq < 1 || seq > INT32_MAX) continue;
            if (!z->inputs.said[row]) {
                z->inputs.said[row] = 1;
                if (t->cursor[row] == 0 || is_stale(t, row, tick)) {
                    z->inputs.moved[row] = 1;
                    t->newest_seq[row] = 0;
                    t->playing[row] = 0;
                    memset(t->pending + row * MAX_PENDING, 0, MAX_PENDING * sizeof(uint64_t));
                    t->wish[2 * row] = t->wish[2 * row + 1] = 0;
                }
                z->inputs.before[row] = t->newest_seq[row];
            }
            if (seq > t->newest_seq[row]) t->newest_seq[row] = seq;
        }
    }
    for (int64_t row = 0; row < t->rows; row++) if (z->inputs.said[row]) set_cursor(z, row, tick);
    for (int at = 0; at < loop->arrived; at++) {
        if (loop->slots[at] < 0) continue;
        const uint8_t *data = loop->arrivals + (size_t)at * ARRIVAL_BYTES;
        int64_t row = z->v.row_of_slot[loop->slots[at]];
        for (int number = 0; number < data[1]; number++) {
            uint64_t key = key_of(data + INPUT_HEAD + RECORD * number);
            int64_t seq = key >> 32;
            if (seq < 1 || seq > INT32_MAX || key >> 32 <= t->playing[row] >> 32) continue;
            uint64_t *into = seq <= t->cursor[row] ? &z->inputs.due[row] : &t->pending[row * MAX_PENDING + seq % MAX_PENDING];
            if (key > *into) *into = key;
        }
    }
    for (int64_t row = 0; row < t->rows; row++) {
        uint64_t due = z->inputs.due[row], *pending = t->pending + row * MAX_PENDING;
        if (z->inputs.moved[row]) {
            for (int at = 0; at < MAX_PENDING; at++) if ((int64_t)(pending[at] >> 32) <= t->cursor[row] && pending[at] > due) due = pending[at];
        } else {
            uint64_t waiting = pending[t->cursor[row] % MAX_PENDING];
            if ((int64_t)(waiting >> 32) == t->cursor[row] && waiting > due) due = waiting;
        }
        if (due >> 32 > t->playing[row] >> 32) play(t, row, due);
        if (is_stale(t, row, tick)) t->wish[2 * row] = t->wish[2 * row + 1] = 0;
    }
}

/* ---------------------------------------------------------------- simulation */

static float clipped(float value, float most) { return value < 0 ? 0 : value > most ? most : value; }

void move_all(struct tables *t) {
    for (int64_t row = 0; row < t->rows; row++) {
        float held = t->is_linked[row] ? 1.0f : 0.0f, step = t->top_speed[row] * TICK_S;
        float *position = t->position + 3 * row, *velocity = t->velocity + 3 * row;
        float x = clipped(position[0] + held * t->wish[2 * row] * step, t->extent[row]);
        float y = clipped(position[1] + held * t->wish[2 * row + 1] * step, t->extent[row]);
        float dx = x - position[0], dy = y - position[1], distance = hypotf(dx, dy), speed = distance / TICK_S;
        position[0] = x;
        position[1] = y;
        velocity[0] = dx / TICK_S;
        velocity[1] = dy / TICK_S;
        t->metres_walked[row] += t->kind[row] == 0 ? distance : 0;
        t->animation[row] = speed > 0.05f ? (speed > 0.6f * t->top_speed[row] ? 2 : 1) : 0;
    }
}

static long clamped(float value, long least, long most) {
    long rounded = (long)rintf(value);
    return rounded < least ? least : rounded > most ? most : rounded;
}

void write_records(const struct tables *t, struct entity *records) {
    for (int64_t row = 0; row < t->rows; row++) {
        const float *position = t->position + 3 * row, *velocity = t->velocity + 3 * row;
        float scale = 65535.0f / t->extent[row];
        float square = velocity[0] * velocity[0] + velocity[1] * velocity[1] + velocity[2] * velocity[2];
        records[row] = (struct entity){
            .id = t->entity[row],
            .x = clamped(position[0] * scale, 0, 65535),
            .y = clamped(position[1] * scale, 0, 65535),
            .z = clamped(position[2] * 64, -32768, 32767),
            .heading = (uint8_t)((int)rintf(t->heading_deg[row] * (float)(256.0 / 360)) & 255),
            .speed = clamped(sqrtf(square) * 8, 0, 255),
            .animation = t->animation[row],
            .health = clamped(t->health[row] * 255, 0, 255),
            .effects = t->effects[row],
            .kind_flags = t->kind[row] | (t->kind[row] == 0 && !t->is_linked[row] ? 0x10 : 0),
        };
    }
}

/* ---------------------------------------------------------------- interest */

static uint32_t sort_key(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if (bits == 0x80000000u) return 0x80000000u;
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static void sort_by_digit(const int *order, int *result, const uint32_t *keys, uint32_t *result_keys, int *counts, int shift, int count) {
    int total = 0;
    for (int digit = 0; digit < DIGITS; digit++) { int here = counts[digit]; counts[digit] = total; total += here; }
    for (int at = 0; at < count; at++) {
        int to = counts[keys[at] >> shift & (DIGITS - 1)]++;
        result[to] = order[at];
        result_keys[to] = keys[at];
    }
}

static void sort_by_axis(struct work *w, const float *position, int axis, int count) {
    memset(w->digits, 0, sizeof w->digits);
    for (int at = 0; at < count; at++) {
        uint32_t key = sort_key(position[3 * w->order[at] + axis]);
        w->keys[at] = key;
        w->digits[0][key & (DIGITS - 1)]++;
        w->digits[1][key >> DIGIT_BITS & (DIGITS - 1)]++;
        w->digits[2][key >> 2 * DIGIT_BITS]++;
    }
    sort_by_digit(w->order, w->by_cell, w->keys, w->spare_keys, w->digits[0], 0, count);
    sort_by_digit(w->by_cell, w->order, w->spare_keys, w->keys, w->digits[1], DIGIT_BITS, count);
    sort_by_digit(w->order, w->by_cell, w->keys, w->spare_keys, w->digits[2], 2 * DIGIT_BITS, count);
    memcpy(w->order, w->by_cell, count * sizeof(int));
}

static int draw_lines(const float *position, int axis, const int *order, int count, int wanted, float *lines, int *lot_of) {
    double size = (double)count / wanted > 1 ? (double)count / wanted : 1, end = size;
    int lot = 0;
    float value = lines[0] = position[3 * order[0] + axis];
    for (int at = 0; at < count; at++) {
        if (position[3 * order[at] + axis] != value) {
            value = position[3 * order[at] + axis];
            if (at >= end) {
                lines[++lot] = value;
                while (end <= at) end += size;
            }
        }
        lot_of[order[at]] = lot;
    }
    return lot + 1;
}

static int lot_at(const float *lines, int count, double value) {
    int low = 0, high = count;
    while (high - low > 1) {
        int middle = (low + high) >> 1;
        if (lines[middle] <= value) low = middle; else high = middle;
    }
    return low;
}

static void sort_into_cells(struct work *w, const float *position, const int *rows, int count, int *slabs, int *columns) {
    *slabs = *columns = 1;
    if (count <= SMALL) {
        memcpy(w->by_cell, rows, count * sizeof(int));
        for (int at = 0; at < count; at++) w->cell_of[rows[at]] = 0;
        return;
    }
    int wanted = (int)sqrt(count / ROWS_PER_CELL);
    wanted = wanted < 1 ? 1 : wanted > MAX_LINES ? MAX_LINES : wanted;
    memcpy(w->order, rows, count * sizeof(int));
    sort_by_axis(w, position, 1, count);
    *slabs = draw_lines(position, 1, w->order, count, wanted, w->slab_lines, w->slab_of);
    sort_by_axis(w, position, 0, count);
    *columns = draw_lines(position, 0, w->order, count, wanted, w->column_lines, w->cell_of);
    int cells = *slabs * *columns, *starts = w->cell_starts;
    memset(starts, 0, (cells + 1) * sizeof(int));
    for (int at = 0; at < count; at++) {
        int row = w->order[at];
        w->cell_of[row] += w->slab_of[row] * *columns;
        starts[w->cell_of[row] + 1]++;
    }
    for (int cell = 0; cell < cells; cell++) starts[cell + 1] += starts[cell];
    for (int at = 0; at < count; at++) w->by_cell[starts[w->cell_of[w->order[at]]]++] = w->order[at];
}

static int take_candidates(struct work *w, const float *position, int count, int cells) {
    int candidates = 0, on_spot = 0, next_cell = 0;
    for (int at = 0; at < count; at++) {
        int row = w->by_cell[at], cell = w->cell_of[row];
        while (next_cell <= cell) w->cell_starts[next_cell++] = candidates;
        float x = position[3 * row], y = position[3 * row + 1];
        int same = candidates > 0 && w->xs[candidates - 1] == x && w->ys[candidates - 1] == y;
        on_spot = same ? on_spot + 1 : 1;
        if (on_spot > PLACES + 1) continue;
        w->xs[candidates] = x;
        w->ys[candidates] = y;
        w->rows[candidates++] = row;
    }
    while (next_cell <= cells) w->cell_starts[next_cell++] = candidates;
    return candidates;
}

static int count_within(const float *squares, int count, float limit) {
    int total = 0;
    for (int at = 0; at < count; at++) total += squares[at] <= limit;
    return total;
}

static float find_limit(const float *squares, int count, int wanted, float limit, int within) {
    float low = 0;
    int below = 0;
    for (int turn = 0; turn < MOST_TURNS && within > wanted + SLACK; turn++) {
        float part = turn & 1 ? 0.5f : (float)(wanted + SLACK / 2 - below) / (float)(within - below);
        float middle = low + (limit - low) * part;
        if (!(low <= middle && middle < limit)) break;
        int here = count_within(squares, count, middle);
        if (here >= wanted) { limit = middle; within = here; } else { low = middle; below = here; }
    }
    return limit;
}

static int rank_by_lots(struct work *w, int count) {
    float largest = 0;
    for (int at = 0; at < count; at++) if (w->near[at] > largest) largest = w->near[at];
    float scale = (float)count / (largest * 1.0001f + 1e-30f);
    memset(w->taken, 0, count * sizeof(int));
    int most = 0;
    for (int at = 0; at < count; at++) {
        int lot = (int)(w->near[at] * scale);
        if (lot > count - 1) lot = count - 1;
        w->ranks[at] = lot;
        if (++w->taken[lot] > most) most = w->taken[lot];
    }
    for (int lot = 0, before = 0; lot < count; lot++) { int here = w->taken[lot]; w->taken[lot] = before; before += here; }
    return most <= LOT_LIMIT;
}

static void rank_by_counting(struct work *w, int count) {
    for (int at = 0; at < count; at++) {
        int below = 0;
        for (int other = 0; other < count; other++) below += w->near[other] < w->near[at];
        w->ranks[at] = below;
        w->taken[at] = at;
    }
}

static void sort_near(struct work *w, int count) {
    if (!rank_by_lots(w, count)) rank_by_counting(w, count);
    for (int at = 0; at < count; at++) {
        int to = w->taken[w->ranks[at]]++;
        w->chosen[to] = w->near[at];
        w->chosen_rows[to] = w->near_rows[at];
    }
    for (int at = 1; at < count; at++) {
        float square = w->chosen[at];
        int row = w->chosen_rows[at], to = at;
        for (; to > 0 && (w->chosen[to - 1] > square || (w->chosen[to - 1] == square && w->chosen_rows[to - 1] > row)); to--) {
            w->chosen[to] = w->chosen[to - 1];
            w->chosen_rows[to] = w->chosen_rows[to - 1];
        }
        w->chosen[to] = square;
        w->chosen_rows[to] = row;
    }
}

static int choose_nearest(struct work *w, int count, int wanted, float limit, int within) {
    if (within > wanted + SLACK) {
        if (!(limit < INFINITY)) {
            limit = 0;
            for (int at = 0; at < count; at++) if (w->squares[at] > limit) limit = w->squares[at];
        }
        limit = find_limit(w->squares, count, wanted, limit, within);
    }
    int chosen = 0;
    for (int at = 0; at < count; at++) {
        w->near[chosen] = w->squares[at];
        w->near_rows[chosen] = w->found[at];
        chosen += w->squares[at] <= limit;
    }
    sort_near(w, chosen);
    return chosen;
}

static int gather(struct work *w, double x, double y, int slabs, int columns, double radius, float *limit) {
    double side = sqrt(radius) / NARROWER + 1e-15, edge = INFINITY;
    int left = lot_at(w->column_lines, columns, x - side), right = lot_at(w->column_lines, columns, x + side);
    int bottom = lot_at(w->slab_lines, slabs, y - side), top = lot_at(w->slab_lines, slabs, y + side);
    if (left > 0) edge = fmin(edge, x - w->column_lines[left]);
    if (right < columns - 1) edge = fmin(edge, w->column_lines[right + 1] - x);
    if (bottom > 0) edge = fmin(edge, y - w->slab_lines[bottom]);
    if (top < slabs - 1) edge = fmin(edge, w->slab_lines[top + 1] - y);
    int count = 0;
    float here_x = x, here_y = y;
    for (int slab = bottom; slab <= top; slab++) {
        int start = w->cell_starts[slab * columns + left], stop = w->cell_starts[slab * columns + right + 1];
        const float *restrict xs = w->xs + start, *restrict ys = w->ys + start;
        float *restrict squares = w->squares + count;
        for (int at = 0; at < stop - start; at++) {
            float dx = xs[at] - here_x, dy = ys[at] - here_y;
            squares[at] = dx * dx + dy * dy;
        }
        memcpy(w->found + count, w->rows + start, (stop - start) * sizeof(int));
        count += stop - start;
    }
    *limit = edge * edge * NARROWER * NARROWER;
    return count;
}

static void see_place(struct zone *z, const int *rows, int count) {
    struct work *w = &z->w;
    const float *position = z->t.position;
    int slabs, columns, wanted = PLACES + 1;
    sort_into_cells(w, position, rows, count, &slabs, &columns);
    int candidates = take_candidates(w, position, count, slabs * columns);
    float radius = INFINITY;
    if (slabs * columns > 1)
        radius = (w->column_lines[columns - 1] - w->column_lines[0]) * (w->slab_lines[slabs - 1] - w->slab_lines[0]) * PLACES / (3.0f * count);
    for (int at = 0; at < count; at++) {
        int row = w->by_cell[at], viewer = w->viewer_of[row];
        if (viewer < 0) continue;
        float limit;
        int found, within;
        for (;;) {
            found = gather(w, position[3 * row], position[3 * row + 1], slabs, columns, radius, &limit);
            within = limit < INFINITY ? count_within(w->squares, found, limit) : found;
            if (!(limit < INFINITY) || within >= wanted) break;
            radius = fmaxf(1e-6f, fmaxf(limit, 2 * radius)); /* at the least the next line */
        }
        int chosen = choose_nearest(w, found, wanted < within ? wanted : within, limit, within), filled = 0;
        int32_t *into = z->v.seen + (size_t)viewer * PLACES;
        for (int place = 0; place < chosen && filled < PLACES; place++)
            if (w->chosen_rows[place] != row) into[filled++] = w->chosen_rows[place];
        z->v.counts[viewer] = filled;
        radius = chosen ? w->chosen[(wanted < chosen ? wanted : chosen) - 1] * WIDER : 0;
    }
    (void)candidates;
}

void see_all(struct zone *z) {
    struct tables *t = &z->t;
    struct work *w = &z->w;
    memset(w->viewer_of, 0xFF, t->rows * sizeof(int));
    for (int viewer = 0; viewer < z->v.viewers; viewer++) w->viewer_of[z->v.rows[viewer]] = viewer;
    memset(w->place_starts, 0, (t->places + 2) * sizeof(int));
    for (int64_t row = 0; row < t->rows; row++) if (t->place[row] >= 0) w->place_starts[t->place[row] + 2]++;
    for (int64_t place = 0; place < t->places; place++) w->place_starts[place + 2] += w->place_starts[place + 1];
    for (int64_t row = 0; row < t->rows; row++) if (t->place[row] >= 0) w->by_place[w->place_starts[t->place[row] + 1]++] = row;
    for (int64_t place = 0; place < t->places; place++) {
        int start = w->place_starts[place], count = w->place_starts[place + 1] - start;
        if (count) see_place(z, w->by_place + start, count);
    }
}

/* ---------------------------------------------------------------- encoding */

static int delta_bytes(const struct entity *before, const struct entity *now, uint8_t *out) {
    int dx = now->x - before->x, dy = now->y - before->y, fields = 0, at = 1;
    if (dx || dy) {
        int least = dx < dy ? dx : dy, most = dx < dy ? dy : dx;
        if (least >= -128 && most <= 127) {
            fields = 1;
            out[at++] = dx;
            out[at++] = dy;
        } else if (least >= -2048 && most <= 2047) {
            uint32_t packed = (dx & 0xFFF) | (dy & 0xFFF) << 12;
            fields = 2;
            out[at++] = packed;
            out[at++] = packed >> 8;
            out[at++] = packed >> 16;
        } else {
            fields = 3;
            memcpy(out + at, &now->x, 4);
            at += 4;
        }
    }
    if (now->z != before->z) { fields |= 0x04; memcpy(out + at, &now->z, 2); at += 2; }
    if (now->heading != before->heading) { fields |= 0x08; out[at++] = now->heading; }
    if (now->speed != before->speed) { fields |= 0x10; out[at++] = now->speed; }
    if (now->animation != before->animation) { fields |= 0x20; out[at++] = now->animation; }
    if (now->health != before->health || now->effects != before->effects || now->kind_flags != before->kind_flags) {
        fields |= 0x40;
        out[at++] = now->health;
        out[at++] = now->effects;
        out[at++] = now->kind_flags;
    }
    out[0] = fields;
    return fields ? at : 0;
}

struct view {
    uint32_t words[PLACES];
    int rows[PLACES], ranks[PLACES], ages[PLACES], lengths[PLACES];
    uint8_t was_there[PLACES], is_kept[PLACES], is_new[PLACES], is_sent[PLACES], changes[PLACES][WHOLE_BYTES];
};

static int places_of(const struct view *view, int only_sent) {
    for (int place = PLACES; place > 0; place--)
        if (view->is_kept[place - 1] || (view->is_new[place - 1] && (!only_sent || view->is_sent[place - 1]))) return place;
    return 0;
}

static void match(struct zone *z, struct view *view, int viewer, uint32_t tick, uint32_t baseline) {
    struct views *v = &z->v;
    const struct entity *now = v->history + (size_t)(tick % TICKS) * z->t.rows;
    int64_t slot = v->slots[viewer];
    const uint32_t *words = v->words + (slot * TICKS + baseline % TICKS) * PLACES;
    int base_places = baseline ? v->places[slot * TICKS + baseline % TICKS] : 0, count = v->counts[viewer];
    const int32_t *seen = v->seen + (size_t)viewer * PLACES;
    uint64_t placed = 0;
    for (int place = 0; place < PLACES; place++) {
        uint32_t word = words[place];
        int age = (tick - (word >> 24)) & 255, row = word & ROW_BITS;
        int was_there = place < base_places && word != EMPTY_PLACE;
        view->words[place] = word;
        view->was_there[place] = was_there;
        view->ages[place] = age;
        view->is_kept[place] = view->is_new[place] = 0;
        view->lengths[place] = 0;
        view->rows[place] = 0;
        view->ranks[place] = 0;
        view->is_sent[place] = 1;
        int rank = 0;
        while (rank < count && seen[rank] != row) rank++;
        if (!was_there || age >= TICKS || rank == count) continue;
        const struct entity *before = v->history + (size_t)((tick - age) % TICKS) * z->t.rows + row;
        if (before->id != now[row].id) continue;
        view->is_kept[place] = 1;
        view->rows[place] = row;
        view->ranks[place] = rank;
        placed |= 1ull << view->ranks[place];
        view->lengths[place] = delta_bytes(before, now + row, view->changes[place]);
    }
    int free = 0;
    for (int rank = 0; rank < count; rank++) {
        if (placed >> rank & 1) continue;
        while (view->is_kept[free]) free++;
        view->is_new[free] = 1;
        view->rows[free] = seen[rank];
        view->ranks[free] = rank;
        view->lengths[free] = WHOLE_BYTES;
        view->changes[free][0] = WHOLE;
        memcpy(view->changes[free] + 1, now + seen[rank], ENTITY);
        free++;
    }
}

static int is_recent(const struct views *v, int64_t slot, uint32_t tick, uint32_t baseline, int row) {
    uint32_t latest = v->latest[slot];
    if (!baseline || latest <= baseline || tick - latest >= TICKS) return 0;
    const uint32_t *words = v->words + (slot * TICKS + latest % TICKS) * PLACES;
    for (int place = 0; place < v->places[slot * TICKS + latest % TICKS]; place++)
        if (words[place] != EMPTY_PLACE && (int)(words[place] & ROW_BITS) == row && ((tick - (words[place] >> 24)) & 255) < tick - baseline) return 1;
    return 0;
}

static void choose_changes(struct zone *z, struct view *view, int viewer, uint32_t tick, uint32_t baseline, int ration) {
    const struct entity *now = z->v.history + (size_t)(tick % TICKS) * z->t.rows;
    int places = places_of(view, 0), costs[PLACES], keys[PLACES], room = ration - LEAST - (places + 7) / 8;
    for (int place = 0; place < PLACES; place++) {
        int vacated = view->was_there[place] && !view->is_kept[place] && place < places;
        room -= vacated;
        costs[place] = view->lengths[place] - (vacated && view->is_new[place]);
    }
    int64_t me = z->v.rows[viewer];
    for (int place = 0; place < PLACES; place++) {
        int row = view->rows[place], age = view->is_new[place] ? NEVER_SEEN_TICKS : view->ages[place];
        int focus = (z->t.selected[me] && now[row].id == z->t.selected[me]) || (z->t.group[me] && z->t.group[row] == z->t.group[me]);
        int kind = focus ? FOCUS : is_recent(&z->v, z->v.slots[viewer], tick, baseline, row) ? RECENT : age >= URGENT_TICKS ? URGENT : 0;
        keys[place] = kind + age * (FAR_WEIGHT - view->ranks[place]);
        view->is_sent[place] = view->lengths[place] == 0;
    }
    for (int turn = 0; turn < PLACES; turn++) {
        int best = -1;
        for (int place = 0; place < PLACES; place++) if (keys[place] != INT32_MIN && (best < 0 || keys[place] > keys[best])) best = place;
        keys[best] = INT32_MIN;
        if (costs[best] && costs[best] <= room) {
            view->is_sent[best] = 1;
            room -= costs[best];
        }
    }
}

/* Header and own entity; the view's places come last. */
static void write_head(struct zone *z, int viewer, uint32_t tick, uint32_t baseline, uint64_t time_ms, uint8_t *out) {
    struct tables *t = &z->t;
    int64_t row = z->v.rows[viewer], lead = t->newest_seq[row] - t->cursor[row];
    uint32_t ack = t->cursor[row];
    uint16_t dilation = 1000, top_speed = rintf(t->top_speed[row] * 256);
    out[0] = 1;
    out[1] = 0;
    out[3] = (int8_t)(lead < -128 ? -128 : lead > 127 ? 127 : lead);
    memcpy(out + 4, &tick, 4);
    memcpy(out + 8, &baseline, 4);
    memcpy(out + 12, &ack, 4);
    memcpy(out + 16, &time_ms, 8);
    memcpy(out + 24, &dilation, 2);
    memcpy(out + 26, &t->numbers[t->place[row]], 4);
    memcpy(out + 30, &t->corrections[row], 2);
    memcpy(out + 32, &top_speed, 2);
    memcpy(out + HEAD, z->v.history + (size_t)(tick % TICKS) * t->rows + row, ENTITY);
}

/* All changes, however many bytes they are; returns where they end. The words of the view are written. */
static int write_all(struct zone *z, int viewer, uint32_t tick, uint32_t baseline, uint8_t *out, int *places) {
    struct views *v = &z->v;
    size_t rows = z->t.rows;
    const struct entity *history = v->history, *now = history + (tick % TICKS) * rows;
    int64_t slot = v->slots[viewer];
    const uint32_t *was = v->words + (slot * TICKS + baseline % TICKS) * PLACES;
    uint32_t *words = v->words + (slot * TICKS + tick % TICKS) * PLACES, stamp = (tick & 255) << 24;
    int before = baseline ? v->places[slot * TICKS + baseline % TICKS] : 0, count = v->counts[viewer], kept = 0, free = 0, last = 0;
    const int32_t *seen = v->seen + (size_t)viewer * PLACES;
    uint32_t look = (uint32_t)(viewer + 1) << 6, *stamps = v->stamps;
    int8_t ranks[PLACES]; /* of who was there and is kept; -1 */
    int coming[PLACES];   /* row of who comes into a place; -1 */
    for (int rank = 0; rank < count; rank++) stamps[seen[rank]] = look | rank;
    for (int place = 0; place < before; place++) {
        uint32_t word = was[place], row = word & ROW_BITS, age = (tick - (word >> 24)) & 255, found;
        ranks[place] = coming[place] = -1;
        if (word == EMPTY_PLACE || age >= TICKS) continue;
        found = stamps[row] - look;
        if (found >= PLACES || history[((tick - age) % TICKS) * rows + row].id != now[row].id) continue;
        ranks[place] = found;
        stamps[row] = 0;
        last = place + 1;
        kept++;
    }
    if (kept < count) {
        for (int rank = 0; rank < count; rank++) {
            if (stamps[seen[rank]] != (look | rank)) continue;
            while (free < before && ranks[free] >= 0) free++;
            ranks[free] = -1;
            coming[free++] = seen[rank];
        }
        if (free > last) last = free;
    }
    int at = LEAST + (last + 7) / 8;
    uint64_t mask = 0;
    for (int place = 0; place < last; place++) {
        int start = at;
        if (ranks[place] >= 0) {
            uint32_t word = was[place], row = word & ROW_BITS, age = (tick - (word >> 24)) & 255;
            const struct entity *then = history + ((tick - age) % TICKS) * rows + row;
            if (memcmp(then, now + row, ENTITY)) at += delta_bytes(then, now + row, out + at);
            words[place] = row | stamp;
        } else if (coming[place] >= 0) {
            out[at] = WHOLE;
            memcpy(out + at + 1, now + coming[place], ENTITY);
            at += WHOLE_BYTES;
            words[place] = coming[place] | stamp;
        } else {
            if (place < before && was[place] != EMPTY_PLACE) out[at++] = LEFT;
            words[place] = EMPTY_PLACE;
        }
        mask |= (uint64_t)(at != start) << place;
    }
    memcpy(out + LEAST, &mask, (last + 7) / 8);
    *places = last;
    return at;
}

/* As many changes as were chosen; returns where they end. */
static int write_chosen(struct zone *z, struct view *view, int viewer, uint32_t tick, uint8_t *out, int *last) {
    struct views *v = &z->v;
    int places = places_of(view, 1), at = LEAST + (places + 7) / 8;
    uint32_t *words = v->words + (v->slots[viewer] * TICKS + tick % TICKS) * PLACES;
    uint64_t mask = 0;
    for (int place = 0; place < PLACES; place++) {
        int taken = view->is_kept[place] || (view->is_new[place] && view->is_sent[place]);
        words[place] = !taken ? EMPTY_PLACE : view->is_sent[place] ? (uint32_t)view->rows[place] | (tick & 255) << 24 : view->words[place];
        if (taken && view->is_sent[place] && view->lengths[place]) {
            memcpy(out + at, view->changes[place], view->lengths[place]);
            at += view->lengths[place];
            mask |= 1ull << place;
        } else if (view->was_there[place] && !taken && place < places) {
            out[at++] = LEFT;
            mask |= 1ull << place;
        }
    }
    memcpy(out + LEAST, &mask, (places + 7) / 8);
    *last = places;
    return at;
}

static uint32_t baseline_of(const struct views *v, int viewer, uint32_t tick) {
    uint32_t acknowledged = v->acknowledged[v->slots[viewer]];
    return tick - acknowledged < TICKS ? acknowledged : 0;
}

static void prefetch_words(const struct views *v, int viewer, uint32_t tick) {
    if (viewer >= v->viewers) return;
    const char *words = (const char *)(v->words + v->slots[viewer] * TICKS * PLACES);
    const char *was = words + baseline_of(v, viewer, tick) % TICKS * PLACES * 4, *here = words + tick % TICKS * PLACES * 4;
    for (int line = 0; line < PLACES * 4 / 64; line++) {
        __builtin_prefetch(was + 64 * line);
        __builtin_prefetch(here + 64 * line);
    }
}

void encode_all(struct zone *z, uint32_t tick, uint64_t time_ms) {
    struct views *v = &z->v;
    struct view view;
    memset(v->stamps, 0, z->t.rows * sizeof *v->stamps);
    for (int viewer = 0; viewer < v->viewers; viewer++) {
        prefetch_words(v, viewer + 1, tick);
        int64_t slot = v->slots[viewer], bucket = v->bucket[slot] + v->bytes_per_tick;
        uint32_t baseline = baseline_of(v, viewer, tick);
        uint8_t *out = v->payloads + (size_t)viewer * MAX_PAYLOAD;
        if (bucket > v->full_bucket) bucket = v->full_bucket;
        int budget = bucket < MAX_PAYLOAD ? bucket : MAX_PAYLOAD, places;
        write_head(z, viewer, tick, baseline, time_ms, out);
        int end = write_all(z, viewer, tick, baseline, out, &places);
        if (end > budget) {
            match(z, &view, viewer, tick, baseline);
            choose_changes(z, &view, viewer, tick, baseline, v->bytes_per_tick < MAX_PAYLOAD ? v->bytes_per_tick : MAX_PAYLOAD);
            end = write_chosen(z, &view, viewer, tick, out, &places);
        }
        out[2] = places;
        v->places[slot * TICKS + tick % TICKS] = places;
        v->lengths[viewer] = end;
        v->ticks[slot * TICKS + tick % TICKS] = v->latest[slot] = tick;
        v->bucket[slot] = bucket - end;
    }
}

/* ---------------------------------------------------------------- the tick */

static uint64_t cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

struct zone *make_zone(struct loop *loop, const struct tables *tables, const struct views *views) {
    struct zone *z = calloc(1, sizeof *z);
    size_t rows = tables->rows + 1;
    z->loop = loop;
    z->t = *tables;
    z->v = *views;
    z->v.stamps = calloc(rows, sizeof(uint32_t));
    z->inputs.due = calloc(rows, sizeof(uint64_t));
    z->inputs.said = calloc(rows, 1);
    z->inputs.moved = calloc(rows, 1);
    z->inputs.before = calloc(rows, sizeof(int64_t));
    int **numbers[] = {&z->w.by_place, &z->w.viewer_of, &z->w.order, &z->w.by_cell, &z->w.slab_of, &z->w.cell_of, &z->w.rows,
                       &z->w.found, &z->w.near_rows, &z->w.ranks, &z->w.taken, &z->w.chosen_rows, (int **)&z->w.keys,
                       (int **)&z->w.spare_keys, (int **)&z->w.xs, (int **)&z->w.ys, (int **)&z->w.squares, (int **)&z->w.near,
                       (int **)&z->w.chosen};
    for (size_t at = 0; at < sizeof numbers / sizeof *numbers; at++) *numbers[at] = calloc(rows, sizeof(int));
    z->w.place_starts = calloc(tables->places + 2, sizeof(int));
    return z;
}

/* What came since the last tick may be taken and opened before it. */
int zone_receive(struct zone *z, int socket, double now) { return receive_more(z->loop, socket, now); }

int zone_tick(struct zone *z, int socket, int64_t tick, uint64_t time_ms, double now) {
    uint64_t at[8];
    struct entity *records = z->v.history + (size_t)(tick % TICKS) * z->t.rows;
    at[0] = cpu_ns();
    receive_more(z->loop, socket, now);
    at[1] = cpu_ns();
    play_inputs(z, tick);
    z->loop->arrived = 0;
    at[2] = cpu_ns();
    move_all(&z->t);
    at[3] = cpu_ns();
    write_records(&z->t, records);
    at[4] = cpu_ns();
    see_all(z);
    at[5] = cpu_ns();
    encode_all(z, tick, time_ms);
    at[6] = cpu_ns();
    int sent = send_all(z->loop, socket, z->v.slots, z->v.viewers, z->v.payloads, MAX_PAYLOAD, z->v.lengths, now);
    at[7] = cpu_ns();
    for (int stage = 0; stage < 7; stage++) z->stages_ns[stage] = at[stage + 1] - at[stage];
    return sent;
}

const uint64_t *zone_stages(const struct zone *z) { return z->stages_ns; }
