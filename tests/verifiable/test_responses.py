"""Further responses to single prompts, each of which a check once judged or might judge wrongly."""

from collections.abc import Mapping

import pytest

from flr import verifiable

BY_ID = {prompt.id: prompt for prompt in verifiable.load()}

RIGHT: Mapping[str, tuple[str, ...]] = {
    "spider-legs": ("A spider has four pairs of legs, 8 in all.",),
    "half-of-seven": ("7 x 0.5 = 3.5", "7 / 2 = 3.5"),
    "quarter-hour": ("0.25 x 60 = 15 minutes", "60 / 4 = 15"),
    "alphabet-letters": ("It has 26 letters: 5 vowels and 21 consonants.",),
    "bus-people": (
        "31 - 8 = 23, and 23 + 5 = 28.",
        "31 + 5 = 36, and 36 - 8 = 28.",
        "3 fewer than 31 is 28.",
    ),
    "root-of-81": ("9^2 = 81, so the square root is 9.", "9 x 9 = 81"),
    "train-three-hours": ("80 + 80 = 160, and 160 + 80 = 240.",),
    "garden-fence": ("2 x (5 + 5) = 2 x 10 = 20 metres", "4 x 5 = 20"),
    "ten-percent": ("250 / 10 = 25", "1/10 of 250 is 25."),
    "threes-next": ("3 x 5 = 15",),
    "century-years": ("A century is 10 decades, or 100 years.",),
    "egg-boxes": ("6 + 6 = 12, 12 + 6 = 18, 18 + 6 = 24",),
    "weekend-days": ("- Sunday\n- Saturday", "-Saturday\n-Sunday"),
    "three-fruits": ("1. Fig\n2. Papaya\n3. Guava", "**1. Kiwi**\n**2. Plum**\n**3. Pear**"),
    "four-seasons": ("Winter, spring, summer and fall", "spring, summer, autumn, winter."),
    "two-oceans": ("Pacific, Atlantic", "the Indian Ocean, the Southern Ocean"),
    "two-string-instruments": (
        "1. Fiddle\n2. Banjo",
        "1. Guitars\n2. Violins",
        "1) Viola\n2) Cello",
    ),
    "three-continents": ("- North America\n- South America\n- Asia",),
    "five-senses": ("1. Seeing\n2. Hearing\n3. Smelling\n4. Tasting\n5. Feeling",),
    "traffic-light": ("1. Red\n2. Amber\n3. Green", "1. Red\n2. Orange\n3. Green"),
    "working-days": ("Friday, Thursday, Wednesday, Tuesday, Monday",),
    "small-even-numbers": ("2, 4, 6, 8", "two, four, six and eight"),
    "chess-lesson": ("It moves forward one square, but captures diagonally.",),
    "happy-not-happy": ("It feels light and warm inside, like glowing.",),
    "book-not-read": ("I recommend Dune by Frank Herbert, because it is full of wonders.",),
    "lower-robot-line": ("hi there! how can i help you today?", "beep boop, i am here to help!"),
    "lower-apology": ("i'm so sorry, my bus broke down.",),
    "lower-greeting": ("hi there, nice to meet you!",),
    "end-letter-grandmother": (
        "Dear Grandma, thank you for the scarf.\n\nLove, Alex",
        "Dear Grandma, thank you for the scarf.\n\nLove, Alex.",
        "Dear Grandma, thank you for the scarf.\n\nLove,\nAlex",
    ),
    "end-meeting": (
        "Can we meet on Wednesday instead of Monday?\n\nBest wishes, Robin",
        "Can we meet on Wednesday instead of Monday?\n\nBest wishes,\nRobin.",
    ),
    "end-spelling": ('It is spelled "receive". Spelling is tricky.',),
    "end-tomato": ("It is a vegetable used in salads. Did you know that?",),
    "end-battery": ("Close what you do not need in the background. Hope this helps!",),
    "json-shopping": ('{"items": ["butter", "Milk", "bread"]}',),
    "json-colours": ('{"colors": ["Red", "white", "blue"]}',),
    "json-address": ('{"name": "Lee", "street": "12 Hill Road", "city": "Leeds"}',),
    "json-order": ('{"product": "blue lamps", "quantity": 3, "color": "blue"}',),
    "json-cat-dog": ('{"cat": "Purr", "dog": "Bark!"}',),
    "json-meeting": ('{"day": "Friday", "place": "the library"}',),
    "json-antonym": ('{"word": "cold", "opposite": "Warm"}',),
    "fire-short": ("Get out immediately and call 911.", "Go outside and call for help."),
    "knock-reply": ("Coffee would be great!", "Water, thank you.", "I'd love lemonade."),
    "meeting-excuse": ("I'm not feeling well today, so I will stay at home.", "I have a migraine."),
    "advice-runner": ("Wear shoes that fit.", "Replace worn ones after 500 miles; comfort counts."),
    "ice-melts": ("It turns into liquid.", "It becomes water."),
    "new-shoes": ("To look your best.", "Better grip on wet ground."),
    "slogan-bakery": ("Rise and shine with us!",),
    "language-brazil": ("Brazilian Portuguese.", "Portuguese, not Spanish."),
    "largest-ocean": (
        "The Pacific, from the Arctic Ocean in the north to the Southern Ocean in the south.",
    ),
    "plant-underground": ("Roots.",),
    "young-dog": ("Puppies.", "A whelp, or pup."),
    "currency-japan": ("The Japanese yen, about 150 to the dollar.",),
    "symbol-gold": ("Au, from the Latin aurum.",),
    "gas-to-breathe": ("Oxygen", "Oxygen (O2)"),
    "season-after-winter": ("Spring.", "It is spring."),
    "nearest-to-sun": ("Mercury.",),
    "first-on-moon": ("Neil Armstrong, in 1969.",),
}
"""Natural answers that pass."""

WRONG: Mapping[str, tuple[str, ...]] = {
    "spider-legs": ("A spider has four legs.", "Six."),
    "half-of-seven": ("0.5", "7 x 0.5 = 3"),
    "alphabet-letters": ("5 vowels and 21 consonants", "It has 21 letters."),
    "bus-people": ("36", "31 - 8 = 23", "31 - 3 = 27"),
    "root-of-81": ("2", "81^2", "8^2 = 81"),
    "weekend-days": ("1. Saturday\n2. Sunday", "* Saturday\n* Sunday", "- Saturday\n- Saturday"),
    "three-fruits": ("- Apple\n- Banana\n- Orange", "1. Apple\n2. Apple\n3. Banana"),
    "four-seasons": (
        "Spring, autumn, fall, winter",
        "Seasons: spring, summer, autumn, winter",
        "Seasons are spring, summer, autumn, winter",
    ),
    "primary-colours": ("Red and yellow and blue", "The colours are red, yellow, blue"),
    "two-oceans": ("Pacific and Atlantic", "Southern Ocean, Antarctic Ocean"),
    "two-string-instruments": ("1. Fiddle\n2. Violin", "- Violin\n- Harp", "1. Flute\n2. Harp"),
    "four-directions": ("1. North\n2. East\n3. South\n4. West",),
    "three-continents": ("1. Africa\n2. Asia\n3. Europe", "- Asia\n- Australia\n- Oceania"),
    "five-senses": (
        "1. sight\n2. seeing\n3. hearing\n4. smell\n5. taste",
        "- sight\n- hearing\n- smell\n- taste\n- touch",
    ),
    "traffic-light": ("1. Red\n2. Yellow\n3. Orange", "- Red\n- Yellow\n- Green"),
    "four-planets": ("1. Venus\n2. Earth\n3. Mars\n4. Saturn", "- Venus\n- Earth\n- Mars\n- Pluto"),
    "working-days": ("Monday, Tuesday, Wednesday, Thursday, Saturday", "Monday to Friday"),
    "small-even-numbers": ("2, two, 4, 6", "1, 2, 4, 6", "2, 4, 6"),
    "lower-robot-line": ("Hi there! How can I help you today?", "hi there, I am a robot."),
    "end-letter-grandmother": (
        "Dear Grandma, thank you for the scarf.\n\nLove, Alexa",
        "Dear Grandma, thank you for the scarf.\n\nLove, Alex\n\nP.S. See you soon!",
        "Love, Alex",
    ),
    "end-spelling": (
        "Yes, the word is spelled correctly. Spelling is tricky.",
        '"Recieve" is the right spelling. Spelling is tricky.',
        'It is spelled "receive".',
    ),
    "json-shopping": ('{"items": ["milk", "bread"]}', '{"items": ["milk", "bread", "bread"]}'),
    "json-colours": (
        '{"colors": ["red"]}',
        '{"colors": ["red", "white", "blue", "green", "black"]}',
        '{"colors": ["red", "white", "green"]}',
        '{"colors": [{"name": "red"}, {"name": "white"}, {"name": "blue"}]}',
    ),
    "json-recipe": (
        '{"dish": "Omelette", "ingredients": [{"name": "eggs"}, {"name": "salt"}]}',
        '{"dish": "Omelette", "ingredients": [3]}',
        '{"dish": "Omelette", "ingredients": []}',
    ),
    "json-address": (
        '{"name": "Ana", "street": "12 Hill Road", "city": "Leeds"}',
        '{"name": "Leeds", "street": "12 Hill Road", "city": "Leeds"}',
    ),
    "json-order": ('{"product": "lampshade", "quantity": 3, "color": "blue"}',),
    "json-cat-dog": ('{"cat": "woof", "dog": "meow"}', '{"cat": "meow", "dog": "moo"}'),
    "json-meeting": ('{"day": "Friday", "place": "Friday, not the library"}',),
    "json-antonym": ('{"word": "cold", "opposite": "icy"}', '{"word": "hot", "opposite": "hot"}'),
    "knock-reply": ("No, thank you.", "Yes, please!", "I am fine."),
    "fire-short": ("Light a candle and relax.", "Ignore the smoke."),
    "meeting-excuse": ("I feel great today.", "I'll be late."),
    "ice-melts": ("It freezes.", "Nothing happens."),
    "capital-australia": ("Sydney", "Canberra or Sydney"),
    "language-brazil": ("Spanish", "Portuguese and Spanish", "Brazilian"),
    "largest-ocean": ("The Atlantic.", "Pacific or Atlantic", "The Arctic Ocean."),
    "season-after-winter": ("Summer", "Autumn", "Spring or summer"),
    "gas-to-breathe": ("Carbon dioxide", "Oxygen and nitrogen"),
    "nearest-to-sun": ("Venus", "Mercury or Venus"),
    "plant-underground": ("The leaves.", "Stem"),
    "highest-mountain": ("K2", "Kilimanjaro"),
    "day-after-thursday": ("Saturday", "Friday or Saturday"),
}
"""Plausible responses that fail."""

CASES = [
    (name, response, expected)
    for table, expected in ((RIGHT, True), (WRONG, False))
    for name, responses in table.items()
    for response in responses
]


@pytest.mark.parametrize(("name", "response", "expected"), CASES)
def test_a_response_is_judged_as_a_reader_would(name: str, response: str, expected: bool):
    assert BY_ID[name].passes(response) is expected
