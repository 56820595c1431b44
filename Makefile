# Rookery's one build. `make help` lists the commands.
BUILD ?= debug
CC_debug = gcc
CC_release = gcc
CC_asan = gcc
CC_clang = clang
CC_tsan = gcc
CC_fuzz = clang
CC := $(CC_$(BUILD))
ifeq ($(CC),)
$(error BUILD=$(BUILD) is not one of debug release asan clang tsan fuzz)
endif

OUT := build/$(BUILD)
GEN := build/gen
MODE_debug = -O1 -g
MODE_clang = -O1 -g
MODE_asan = -O1 -g -Wno-format-truncation -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
MODE_tsan = -O1 -g -Wno-format-truncation -fsanitize=thread
MODE_release = -O2 -g -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fcf-protection \
	-fno-plt
MODE_fuzz = -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LINK_debug =
LINK_clang =
LINK_asan = -fsanitize=address,undefined
LINK_tsan = -fsanitize=thread
LINK_fuzz = -fsanitize=fuzzer,address,undefined
LINK_release = -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack

WARN = -Wall -Wextra -Werror -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wswitch-enum -Wvla -Wundef
CFLAGS = -std=c17 $(WARN) $(MODE_$(BUILD)) -Isrc -I$(GEN) -Iinclude -I. -MMD -MP
LDLIBS = -luring -luv -lisal -lcrypto -ljansson -lhttp_parser -lz -llz4 -lzstd -lsnappy -lpthread
LDFLAGS = $(LINK_$(BUILD))

# Sources by wildcard: a new file needs no line here.
SRC := $(sort $(wildcard src/*/*.c src/*/*/*.c))
UNIT_SRC := $(filter %_test.c,$(SRC))
FUZZ_SRC := $(filter %_fuzz.c,$(SRC))
CODE_SRC := $(filter-out %_test.c %_fuzz.c,$(SRC))
MAIN_SRC := src/cli/main.c
LIB_SRC := $(filter-out $(MAIN_SRC),$(CODE_SRC))
SIM_SRC := $(sort $(wildcard sim/*.c))
# Thousands of power losses and damaged files take minutes under a sanitizer; test/run has it do some seeds.
SLOW_UNIT_SRC := $(if $(filter asan tsan,$(BUILD)),sim/workload_test.c sim/workload_ensemble_test.c sim/workload_cluster_test.c \
    sim/keeper_damage_test.c sim/keeper_restore_test.c sim/zab_bugs_test.c)
SIM_UNIT_SRC := $(filter-out $(SLOW_UNIT_SRC),$(filter %_test.c,$(SIM_SRC)))
SIM_LIB_SRC := $(filter-out %_test.c sim/simulate.c sim/explore.c,$(SIM_SRC))
SCHEMA := $(sort $(wildcard schema/*.wire schema/*/*.wire))

obj = $(patsubst %.c,$(OUT)/obj/%.o,$(1))
LIB := $(OUT)/librookery.a
SIM_LIB := $(OUT)/libsim.a
UNIT_BIN := $(patsubst %.c,$(OUT)/test/%,$(UNIT_SRC) $(SIM_UNIT_SRC))
FUZZ_BIN := $(patsubst %.c,$(OUT)/fuzz/%,$(FUZZ_SRC))

.PHONY: all unit test check sim fuzz fuzz-replay interop interop-all bench run install deps gen help clean
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

all: $(if $(wildcard $(MAIN_SRC)),$(OUT)/rookery) $(LIB) $(if $(wildcard sim/simulate.c),$(OUT)/simulate $(OUT)/explore) $(UNIT_BIN)

help:
	@sed -n 's/^## //p' Makefile

## make run            build and start a keeper on 2181 and a broker on 9092
run: deps
	@$(MAKE) --no-print-directory BUILD=release build/release/rookery
	build/release/rookery

## make test           every test that needs no foreign program (under ten minutes)
test: deps
	@bash test/run

## make unit           unit tests of this BUILD only
unit: $(UNIT_BIN)
	@bash test/unit $(UNIT_BIN)

## make check          style, layers, purity, format
check: deps
	@bash test/check

## make sim SEED=n     one seed in the simulator
sim: deps $(OUT)/simulate
	$(OUT)/simulate --seed $(or $(SEED),1) $(SIM_ARGS)

## make fuzz NAME=x    fuzz src/*/x_fuzz.c with libFuzzer (needs clang)
fuzz: deps
	@bash test/fuzz $(NAME)

fuzz-replay: $(FUZZ_BIN)

## make interop        other people's clients and servers against ours (NAME=x for one case)
interop: deps
	@$(MAKE) --no-print-directory BUILD=release build/release/rookery
	test/interop/run $(NAME)

## make interop-all    the same with the tests of other people's suites that take long
interop-all: deps
	@$(MAKE) --no-print-directory BUILD=release build/release/rookery
	ALL=1 test/interop/run $(NAME)

## make bench          figures side by side with Apache's servers
bench: deps
	@$(MAKE) --no-print-directory BUILD=release build/release/rookery
	bench/run $(NAME)

## make deps           install what the build needs (Debian packages), if missing
deps:
	@bash tools/deps

## make gen            show where the generated wire tables are
gen: $(GEN)/.stamp
	@ls $(GEN)/wire/gen

PREFIX ?= /usr/local
## make install        install the release build under PREFIX
install:
	@$(MAKE) --no-print-directory BUILD=release build/release/rookery
	install -D -m 755 build/release/rookery $(DESTDIR)$(PREFIX)/bin/rookery

clean:
	rm -rf build

# wiregen is built first and writes build/gen/wire/gen/*.h and *.c from schema/.
build/tools/%: tools/%.c
	@mkdir -p $(@D)
	gcc -std=c17 $(WARN) -O1 -g -o $@ $<

$(GEN)/.stamp: build/tools/wiregen $(SCHEMA)
	@mkdir -p $(GEN)/wire/gen
	build/tools/wiregen $(GEN)/wire/gen $(SCHEMA)
	@touch $@

GEN_SRC = $(wildcard $(GEN)/wire/gen/*.c)
$(OUT)/obj/%.o: %.c | $(GEN)/.stamp
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(CFLAGS) -c -o $@ $<

$(OUT)/gen.stamp: $(GEN)/.stamp
	@mkdir -p $(OUT)/obj/gen
	@for f in $(GEN)/wire/gen/*.c; do \
		echo "  CC $$f"; \
		$(CC) $(CFLAGS) -c -o $(OUT)/obj/gen/$$(basename $$f .c).o $$f || exit 1; done
	@touch $@

$(LIB): $(call obj,$(LIB_SRC)) $(OUT)/gen.stamp
	@rm -f $@
	@ar rcs $@ $(call obj,$(LIB_SRC)) $(OUT)/obj/gen/*.o

$(SIM_LIB): $(call obj,$(SIM_LIB_SRC))
	@rm -f $@
	@ar rcs $@ $^

$(OUT)/rookery: $(call obj,$(MAIN_SRC)) $(LIB)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(OUT)/simulate $(OUT)/explore: $(OUT)/%: $(OUT)/obj/sim/%.o $(SIM_LIB) $(LIB)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(OUT)/test/%: $(OUT)/obj/%.o $(if $(SIM_LIB_SRC),$(SIM_LIB)) $(LIB)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

# libFuzzer brings a main of its own; in the other builds one of ours replays inputs.
$(OUT)/fuzz/%: $(OUT)/obj/%.o $(if $(filter fuzz,$(BUILD)),,$(OUT)/obj/test/fuzz_replay.o) $(LIB)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Programs that meet the real operating system: kill -9 tests and load generators.
HAND_SRC := test/hand/kafka.c test/crash/process.c
$(OUT)/crash/%: test/crash/%.c $(HAND_SRC) $(LIB)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -D_GNU_SOURCE $(LDFLAGS) -o $@ $(filter %.c,$^) $(LIB) $(LDLIBS)

# Parts of ours that stand alone among other people's servers.
$(OUT)/interop/%: test/interop/%.c $(LIB)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -D_GNU_SOURCE $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS)

BENCH_SRC := bench/keeper_wire.c bench/broker_wire.c bench/latency.c
build/bench/%: bench/%.c $(BENCH_SRC) $(HAND_SRC)
	@mkdir -p $(@D)
	@$(MAKE) --no-print-directory -s BUILD=release build/release/librookery.a
	@gcc $(CFLAGS) -O2 -D_GNU_SOURCE -o $@ $(filter %.c,$^) build/release/librookery.a $(LDLIBS)

-include $(shell find $(OUT)/obj -name '*.d' 2>/dev/null)
