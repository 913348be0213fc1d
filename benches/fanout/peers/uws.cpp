// uWebSockets as a peer: its own publish, to topics that every client has, in rounds of --gather ticks.
// Arguments: port clients topics mode gather rate (0: as fast as it goes)

#include "App.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <time.h>
#include <vector>

struct Nothing {};
using Socket = uWS::WebSocket<false, true, Nothing>;

static const size_t MOST_UNSENT = 1 << 20;

static long long monotonic_ns() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static std::string depth() {
    std::string side;
    for (int i = 0; i < 5; i++) {
        char level[80];
        snprintf(level, sizeof level, "%s{\"price\":%d.05,\"quantity\":%d,\"orders\":%d}", i ? "," : "", 2870 - i, 100 + i, 3 + i);
        side += level;
    }
    return ",\"depth\":{\"buy\":[" + side + "],\"sell\":[" + side + "]},\"depth_level\":5";
}

static std::string tick(int topic, int mode, long long stamp, long long sequence, const std::string &book) {
    char text[2048];
    snprintf(text, sizeof text,
             "{\"type\":\"market_data\",\"symbol\":\"SYM%d\",\"exchange\":\"NSE\",\"mode\":%d,\"seq\":%lld,\"data\":{\"symbol\":\"SYM%d\","
             "\"exchange\":\"NSE\",\"mode\":%d,\"ltp\":2875.35,\"volume\":8412311,\"ltt\":1663660800000,\"timestamp\":1663660800123,"
             "\"seq\":%lld%s},\"broker\":\"bench\"}",
             topic, mode, sequence, topic, mode, stamp, mode == 3 ? book.c_str() : "");
    return text;
}

int main(int count, char **arguments) {
    if (count != 7) return 2;
    int port = atoi(arguments[1]), expected = atoi(arguments[2]), topics = atoi(arguments[3]), mode = atoi(arguments[4]);
    int gather = atoi(arguments[5]);
    long long rate = atoll(arguments[6]), number = 0, due = 0;
    std::vector<Socket *> clients;
    const std::string book = depth();
    std::vector<std::string> ready;
    for (int topic = 0; topic < topics; topic++) ready.push_back(tick(topic, mode, 0, 0, book));

    uWS::App app;
    uWS::Loop *loop = uWS::Loop::get();
    auto publish = [&](long long stamp) {
        // Flat out, the frames are made beforehand, so that only the sending is measured.
        const std::string text = stamp ? tick(number % topics, mode, stamp, number, book) : ready[number % topics];
        app.publish("all", text, uWS::OpCode::TEXT);
        number++;
    };
    std::function<void()> round = [&]() {
        if (rate) {
            long long now = monotonic_ns();
            if (now >= due) {
                publish(now);
                due = std::max(due + 1000000000LL / rate, now - 10000000LL);
            }
        } else {
            bool room = true;
            for (Socket *client : clients) room = room && client->getBufferedAmount() < MOST_UNSENT;
            if (room) for (int i = 0; i < gather; i++) publish(0);
        }
        loop->defer([&]() { round(); });
    };
    app.ws<Nothing>("/*", {
        .compression = uWS::DISABLED,
        .maxBackpressure = 0,
        .message = [&](Socket *client, std::string_view, uWS::OpCode) {
            client->subscribe("all");
            clients.push_back(client);
            if ((int) clients.size() == expected) {
                due = monotonic_ns();
                round();
            }
        },
        .close = [](Socket *, int, std::string_view) { exit(0); },
    });
    app.listen("127.0.0.1", port, [](auto *listening) {
        if (!listening) exit(1);
        printf("%d\n", us_socket_local_port(0, (us_socket_t *) listening));
        fflush(stdout);
    });
    app.run();
}
