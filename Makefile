# Countersign. `make help` lists what a person runs.
#
# Variants, each in its own directory below build/:
#   make                the program as shipped: build/countersign
#   make V=asan …       AddressSanitizer + UBSan + fault points, for tests
# A fuzz target is built by clang: make fuzz T=yaml S=60

V        ?= release
B        := build/$(V)
CC       ?= gcc
PKGS     := libuv libcurl libgit2 libcrypto yaml-0.1 yyjson libllhttp libseccomp zlib

WARN     := -Wall -Wextra -Wformat=2 -Wconversion -Wsign-conversion -Wimplicit-fallthrough -Wshadow -Wvla -Wundef \
            -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Werror
HARDEN   := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fcf-protection=full \
            -ftrivial-auto-var-init=zero -fno-delete-null-pointer-checks -fno-strict-overflow -fno-strict-aliasing
LINK     := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
VERSION  := $(shell cat VERSION 2>/dev/null || echo 0.1.0)
COMMIT   := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

BASE_CFLAGS := -std=gnu17 -g -fPIE -MMD -MP -Icontroller -I. -D_GNU_SOURCE $(WARN) $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
CFLAGS_release := -O2 $(HARDEN)
CFLAGS_image   := $(CFLAGS_release)
CFLAGS_asan    := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all -DFAULTS
LDFLAGS_asan   := -fsanitize=address,undefined
CFLAGS   := $(BASE_CFLAGS) $(CFLAGS_$(V))
LDFLAGS  := $(LINK) $(LDFLAGS_$(V))
LIBS     := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread

SOURCES  := $(sort $(wildcard api/*.c controller/*/*.c))
OBJECTS  := $(SOURCES:%.c=$(B)/%.o)
TESTS    := $(sort $(wildcard test/unit/*/test_*.c))
TEST_BIN := $(foreach t,$(TESTS),$(B)/test/$(basename $(notdir $(t))))
FUZZ     := $(sort $(wildcard test/fuzz/fuzz_*.c))

Q := $(if $(VERBOSE),,@)
say = $(if $(VERBOSE),,@printf '  %-5s %s\n' $(1) $(2))

all: $(if $(filter release,$(V)),build/countersign,$(B)/countersign)

build/countersign: build/release/countersign
	$(Q)cp $< $@.tmp && mv $@.tmp $@

$(B)/countersign: $(B)/controller/main.o $(B)/libcountersign.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# An archive takes two functions of one name in silence, and the linker then picks either.
$(B)/libcountersign.a: $(OBJECTS)
	$(call say,AR,$@)
	$(Q)twice=$$(nm -g --defined-only $^ | awk 'NF == 3 && $$2 ~ /[TDBR]/ {print $$3}' | sort | uniq -d); \
		test -z "$$twice" || { echo "error: defined twice: $$twice" >&2; exit 1; }
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS) -DVERSION='"$(VERSION)"' -c -o $@ $<

# what the assembler puts in, see controller/cli/install_yaml.c
$(B)/controller/cli/install_yaml.o build/fuzz/controller/cli/install_yaml.o: manifests/install.yaml manifests/namespace-install.yaml

# --- unit tests: one cmocka program a file -------------------------------------------------------------------
vpath test_%.c $(sort $(dir $(TESTS)))
$(B)/test/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS) -Itest/unit -c -o $@ $<

$(B)/test/%: $(B)/test/%.o $(B)/libcountersign.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) -lcmocka

unit-build: $(TEST_BIN)
# One program by name: make V=asan unit T=test_base
unit: $(if $(T),$(B)/test/$(T),$(TEST_BIN))
	$(Q)for t in $^; do echo "== $$t"; $$t || exit 1; done

# --- fuzzing ---------------------------------------------------------------------------------------------------
FUZZ_CC    := clang
FUZZ_FLAGS := -std=gnu17 -g -O1 -Icontroller -I. -D_GNU_SOURCE -DFAULTS -fsanitize=address,undefined \
              -fno-sanitize-recover=all -DVERSION='"$(VERSION)"' $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
FUZZ_OBJ   := $(SOURCES:%.c=build/fuzz/%.o)

build/fuzz/%.o: %.c
	$(call say,FUZZ,$<)
	$(Q)mkdir -p $(@D) && $(FUZZ_CC) $(FUZZ_FLAGS) -MMD -MP -fsanitize=fuzzer-no-link -c -o $@ $<
build/fuzz/libcountersign.a: $(FUZZ_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^
build/fuzz/fuzz_%: test/fuzz/fuzz_%.c build/fuzz/libcountersign.a
	$(call say,LINK,$@)
	$(Q)$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)

fuzz-build: $(FUZZ:test/fuzz/%.c=build/fuzz/%)
S ?= 20
# make fuzz: every target for S seconds; make fuzz T=yaml: one.
fuzz: $(if $(T),build/fuzz/fuzz_$(T),$(FUZZ:test/fuzz/%.c=build/fuzz/%))
	$(Q)for f in $^; do hack/fuzz $$f $(S) || exit 1; done

# --- the two commands ----------------------------------------------------------------------------------------------
## make demo        install what is missing, build, play the story on the local stack, stop it
demo: setup
	$(Q)hack/stack/build
	$(Q)$(MAKE) --no-print-directory -j2 all
	$(Q)test/story/demo

## make demo-cluster as root: the image in a real cluster (kubelet, containerd), six rows, stop it
demo-cluster: setup
	$(Q)hack/stack/build
	$(Q)hack/stack/build containerd shim ctr coredns
	$(Q)$(MAKE) --no-print-directory -j2 all
	$(Q)/usr/bin/python3 -m pytest -q -x -s -p no:cacheprovider test/cluster/test_cluster.py

## make test        install what is missing, run every test; the last line is "N passed, N failed"
test: setup
	$(Q)hack/stack/build
	$(Q)hack/stack/build containerd shim ctr coredns kustomize helm
	$(Q)$(MAKE) --no-print-directory check
	$(Q)$(MAKE) --no-print-directory -j2 V=asan all unit-build
	$(Q)$(MAKE) --no-print-directory -j2 all fuzz-build
	$(Q)cd test/tlogcheck && PATH="$$PATH:/usr/local/go/bin" go build -o ../../build/tlogcheck .
	$(Q)COUNTERSIGN=build/asan/countersign COUNTERSIGN_TIME_SCALE=3 COUNTERSIGN_TLOGCHECK=$(CURDIR)/build/tlogcheck test/run $(foreach t,$(TESTS),build/asan/test/$(basename $(notdir $(t)))) \
		test/tlogcheck test/fuzz test/mutants test/e2e test/torture test/story test/cluster

## make up, down    keep the stack and the controller running in STACK to play by hand; stop them
STACK ?= /tmp/countersign
up: setup
	$(Q)hack/stack/build
	$(Q)$(MAKE) --no-print-directory -j2 all
	$(Q)test/story/demo --keep $(STACK)
down:
	$(Q)hack/stack/down $(STACK)

## make bench S=S1  how fast it is beside a client that only sends the same writes; SCALE=0.1 for a tenth, TURNS=1, GROWTH=1
bench: setup
	$(Q)hack/stack/build
	$(Q)$(MAKE) --no-print-directory -j2 all
	$(Q)/usr/bin/python3 test/bench/run.py $(filter S%,$(S)) --scale $(or $(SCALE),1) --turns $(or $(TURNS),5) $(if $(GROWTH),--growth)

## make image       the image as an OCI layout in build/oci; PUSH=HOST/REPO:TAG KEY=cosign.key pushes and signs it
image: setup
	$(Q)hack/image build/oci $(if $(PUSH),--push $(PUSH)) $(if $(KEY),--key $(KEY)) $(if $(REFRESH),--refresh)

version:
	@echo $(VERSION)

## make torture     every fault of the rig against the program with sanitizers, compared with a run without; ONLY=word, the last line counts.
##                  ONLY=soak: 20 minutes of changes and faults. ONLY=tests: the tests of the folder at full length, 100 restarts among them
torture: setup
	$(Q)hack/stack/build
	$(Q)$(MAKE) --no-print-directory -j2 V=asan all
	$(Q)COUNTERSIGN=build/asan/countersign COUNTERSIGN_TIME_SCALE=3 TORTURE_ROUNDS=3 TORTURE_RESTARTS=100 \
		$(if $(filter tests,$(ONLY)),test/run test/torture,/usr/bin/python3 test/torture/run.py $(if $(ONLY),--only '$(ONLY)'))

## make             the program as shipped: build/countersign
## make unit T=x    one unit test program, V=asan with sanitizers
## make fuzz T=x    one fuzz target for S seconds (all without T)
## make check       layers, headers, sizes, manifests, rights
setup:
	$(Q)hack/deps

check:
	$(Q)hack/check-layers
	$(Q)hack/check-headers
	$(Q)hack/check-sizes
	$(Q)hack/make-manifests --check
	$(Q)hack/check-rbac

format:
	$(Q)hack/format

clean:
	$(Q)rm -rf build

help:
	@awk -F': ' '/^## /{print substr($$0, 4)}' Makefile

.PHONY: demo-cluster all unit unit-build fuzz fuzz-build check clean help demo test up down setup format bench image version torture
.SECONDARY: $(foreach t,$(TESTS),$(B)/test/$(basename $(notdir $(t))).o)
-include $(wildcard $(B)/*/*.d $(B)/*/*/*.d $(B)/*/*/*/*.d build/fuzz/*/*/*.d)
