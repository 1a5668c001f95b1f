include common.mk
TOOL = quay.io/acme/tool:2.0
SOURCES := $(wildcard src/*.c:%.c=%.o)
%.o: %.c
	@podman run --rm -v $(PWD):/w:ro -w /w $(TOOL) cc -o $@ $<
check: ; @echo "see https://acme.example/docs:check" && docker pull busybox:1.36
