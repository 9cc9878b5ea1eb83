// Saving and restoring what training changes: a header, the prices of the weights, then w, m and v of the reachable
// table blocks and of the decoder.
#include <cstring>

#include "train_step.h"

using gndc::kPad;

namespace {

struct Header {
    char magic[8];
    int64_t step, n_blocks, decoder_count;
    double bits, running_loss;
};
constexpr char kMagic[8] = {'g', 'n', 'd', 'c', 't', 'r', 'n', '1'};
constexpr size_t kSlopeBytes = 3 * gndc::kSlopes * sizeof(float);

Header header_of(const gndc_trainer &t) {
    Header header{};
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    header.step = t.step;
    header.n_blocks = static_cast<int64_t>(t.model.blocks.size());
    header.decoder_count = t.model.decoder.count;
    header.bits = t.bits;
    header.running_loss = t.running_loss;
    return header;
}

// Calls copy(pointer, bytes) on every piece in order.
template <typename Trainer, typename Copy>
void each_piece(Trainer &t, const Copy &copy) {
    copy(t.slopes.get(), kSlopeBytes);
    for (const gndc::Floats *array : {&t.model.tables.w, &t.model.tables.m, &t.model.tables.v}) {
        for (uint32_t block : t.model.blocks) {
            copy(array->get() + static_cast<int64_t>(block) * kPad, kPad * sizeof(float));
        }
    }
    for (const gndc::Floats *array : {&t.model.decoder.w, &t.model.decoder.m, &t.model.decoder.v}) {
        copy(array->get(), static_cast<size_t>(t.model.decoder.count) * sizeof(float));
    }
}

}  // namespace

extern "C" {

int64_t gndc_trainer_state_size(const gndc_trainer *trainer) {
    const int64_t weights = static_cast<int64_t>(trainer->model.blocks.size()) * kPad + trainer->model.decoder.count;
    return static_cast<int64_t>(sizeof(Header) + kSlopeBytes) + 3 * weights * static_cast<int64_t>(sizeof(float));
}

int gndc_trainer_get_state(const gndc_trainer *trainer, void *out, int64_t size, char *message) {
    if (size != gndc_trainer_state_size(trainer)) {
        gndc::say(message, "the state needs %lld bytes, found room for %lld",
                  static_cast<long long>(gndc_trainer_state_size(trainer)), static_cast<long long>(size));
        return GNDC_ERR_SIZE;
    }
    char *p = static_cast<char *>(out);
    const Header header = header_of(*trainer);
    std::memcpy(p, &header, sizeof header);
    p += sizeof header;
    each_piece(*trainer, [&](const float *from, size_t bytes) {
        std::memcpy(p, from, bytes);
        p += bytes;
    });
    return GNDC_OK;
}

int gndc_trainer_set_state(gndc_trainer *trainer, const void *state, int64_t size, char *message) {
    Header header{};
    const Header expected = header_of(*trainer);
    if (size >= static_cast<int64_t>(sizeof header)) {
        std::memcpy(&header, state, sizeof header);
    }
    if (size != gndc_trainer_state_size(trainer) || std::memcmp(header.magic, kMagic, sizeof kMagic) != 0 ||
        header.n_blocks != expected.n_blocks || header.decoder_count != expected.decoder_count || header.step < 0) {
        gndc::say(message, "the saved state belongs to another model or data");
        return GNDC_ERR_SIZE;
    }
    const char *p = static_cast<const char *>(state) + sizeof header;
    each_piece(*trainer, [&](float *to, size_t bytes) {
        std::memcpy(to, p, bytes);
        p += bytes;
    });
    trainer->step = header.step;
    trainer->bits = header.bits;
    trainer->running_loss = header.running_loss;
    trainer->refresh();
    return GNDC_OK;
}

}  // extern "C"
