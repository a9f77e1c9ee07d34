# Entry points of the project; `make` alone lists them. The work is done by scripts/ and by swift itself: this file
# only puts the libraries that `make setup` installs on the search path and keeps the flags of all builds equal, so
# that build, test and demo share one build folder.

SHELL := /bin/bash

# The Arrow and Parquet .pc files that scripts/setup writes; whatever the caller has set still applies after them.
export PKG_CONFIG_PATH := $(CURDIR)/.native/pkgconfig$(if $(PKG_CONFIG_PATH),:$(PKG_CONFIG_PATH))

# Release builds keep @testable imports working, so that `make build` and `make test` compile everything once.
RELEASE := -c release -Xswiftc -enable-testing
LINTED := $(wildcard Sources Tests Benchmarks Package.swift)

.DEFAULT_GOAL := help
.PHONY: help setup build test api-test bench bench-server browser-test demo evaluate lint crash-test kafka-trial sanitize clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup:  ## install what the build needs (nothing to do: milliseconds)
	@scripts/setup

build: setup  ## build the pulse command, optimised: .build/release/pulse
	swift build $(RELEASE) --product pulse

# Tests of the command wait for processes and hold the threads that other tests need: they run by themselves.
test: setup  ## run all tests optimised, then the core's again with debug checks
	@scripts/test-brokers
	swift test $(RELEASE) --skip '^PulseTests\.'
	swift test $(RELEASE) --skip-build --filter '^PulseTests\.'
	swift test --filter DetectionTests --scratch-path .build-debug

api-test: setup  ## hold every endpoint of a running server against /openapi.json, some thousand requests
	@scripts/api-test

bench: setup  ## run the benchmarks against their peers and budgets
	@scripts/bench

bench-server: build  ## measure the server under load (needs wrk)
	@scripts/bench-server

browser-test: setup  ## drive the dashboard in Chromium, with screenshots
	@scripts/browser-test

demo: setup  ## show the product on sample data, from nothing to the first anomaly
	@scripts/demo

evaluate: setup  ## train on simulated history, score later days, compare with the labels, for five seeds
	@scripts/evaluate

lint:  ## check the format of every Swift file
	swift format lint --strict --recursive $(LINTED)

crash-test: setup  ## kill a running pipeline again and again and compare its results with an uninterrupted run
	@scripts/crash-test

kafka-trial: setup  ## take pipeline, group and broker away from a run over a topic again and again, and compare
	@scripts/kafka-trial

sanitize: setup  ## run decoders, shims and concurrent code under the address and thread sanitizers
	@scripts/sanitize

clean:  ## remove build folders (.native/ stays: delete it to set up anew)
	rm -rf .build .build-debug .build-address .build-thread Benchmarks/.build
