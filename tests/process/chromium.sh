#!/bin/bash
# Chromium without the pages that each of its windows loads for the suggestions under its address field.
# What Playwright turns off stays off; of two switches of one name only the last would count.
off=WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup
real=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
exec "$real" "${@/#--disable-features=/--disable-features=$off,}"
