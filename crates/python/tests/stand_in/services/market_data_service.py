"""A consumer of ticks inside the server's process, as slow as the setting says."""

import json
import os
import time


class MarketDataService:
    def process_market_data(self, data):
        with open("services.jsonl", "a", encoding="utf-8") as log:
            log.write(json.dumps(data) + "\n")
        time.sleep(float(os.environ.get("MOCK_SERVICE_S", "0")))
        return True


_service = MarketDataService()


def get_market_data_service():
    return _service
