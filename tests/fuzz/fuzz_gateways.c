/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of gateways and the pins, as files hold them; and a file like os-release. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "agent/enrol/facts.h"
#include "agent/ship/gateways.h"
#include "agent/ship/pins.h"
#include "common/base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gateways g;
    struct pofr_err err = { 0 };
    struct pins pins, again;
    char one[PINS_TEXT_SIZE], os[64];

    if (gateways_parse(slice_of(data, size), &g, &err) == 0) {
        assert(g.len > 0 && g.len <= GATEWAYS_MAX);
        for (unsigned i = 0; i < g.len; i++) {
            assert(g.list[i].host[0] != '\0' && g.list[i].port > 0);
        }
    } else {
        assert(err.text[0] != '\0');
    }
    err = (struct pofr_err){ 0 };
    if (pins_parse(slice_of(data, size), &pins, &err) == 0) {
        assert(pins.len > 0 && pins.len <= PINS_MAX);
        for (unsigned i = 0; i < pins.len; i++) {
            assert(pins_parse(slice_str(pins_format(pins.list[i], one)), &again, NULL) == 0 && again.len == 1);
            assert(memcmp(again.list[0], pins.list[i], 32) == 0);
        }
    } else {
        assert(err.text[0] != '\0');
    }
    facts_os_release(slice_of(data, size), "PRETTY_NAME", os, sizeof(os));
    assert(memchr(os, 0, sizeof(os)) != NULL);
    return 0;
}
