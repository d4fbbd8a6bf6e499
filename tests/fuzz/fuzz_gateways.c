/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of gateways and the pin, as files hold them; and a file like os-release. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "agent/enrol/facts.h"
#include "agent/ship/gateways.h"
#include "common/base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gateways g;
    struct pofr_err err = { 0 };
    char pin[GATEWAYS_PIN_SIZE + 8], again[GATEWAYS_PIN_SIZE], os[64];
    uint8_t fingerprint[32];

    if (gateways_parse(slice_of(data, size), &g, &err) == 0) {
        assert(g.len > 0 && g.len <= GATEWAYS_MAX);
        for (unsigned i = 0; i < g.len; i++) {
            assert(g.list[i].host[0] != '\0' && g.list[i].port > 0);
        }
    } else {
        assert(err.text[0] != '\0');
    }
    if (size < sizeof(pin)) {
        memcpy(pin, data, size);
        pin[size] = '\0';
        if (gateways_pin_parse(pin, fingerprint) == 0) {
            assert(strcmp(pin, gateways_pin_format(fingerprint, again)) == 0);
        }
    }
    facts_os_release(slice_of(data, size), "PRETTY_NAME", os, sizeof(os));
    assert(memchr(os, 0, sizeof(os)) != NULL);
    return 0;
}
