"""English words of feeling."""

from typing import Final

from services.recorder.domain.analytics.sentiment.lexicon import Lexicon

ENGLISH: Final = Lexicon(
    language="en",
    words={
        -3.0: """terrible horrible awful appalling disgusting disgusted disgrace disgraceful outrageous
            outraged ridiculous unacceptable hate scam fraud liar lie lied cheat cheated stole stolen thief
            furious livid insult insulting humiliating pathetic nightmare shameful crap bullshit garbage
            idiot useless worst disaster joke abysmal""",
        -2.0: """bad badly worse angry annoyed annoying upset unhappy dissatisfied disappoint disappointed
            disappointing disappointment complain complaint complaining rude impolite problem problems issue
            fault faulty broken broke break damaged damage defective dirty crash crashing freeze freezing
            fail failed failing failure overcharged refund frustrated frustrating frustration fed poor
            unprofessional incompetent careless ignore ignored ignoring wrong lawyer court sue police
            compensation refuse refused lost mess mislead misleading tired sick stupid nonsense unreliable
            embarrassing ashamed unfair threat ruin ruined spoiled dreadful lousy shocking shoddy cheap""",
        -1.0: """unfortunately difficult hard confusing confused strange error mistake slow slowly long late
            delay delayed queue expensive sad worried worry doubt missing gone disconnected again twice stuck
            inconvenient lack""",
        1.0: """good fine easy easily convenient quick quickly clear clearly interesting clean fresh reliable
            calm comfortable safe smooth smoothly""",
        2.0: """nice happy glad pleased pleasure pleasant satisfied satisfying polite kind friendly courteous
            patient patience grateful appreciate like liked recommend professional relieved relief better
            thankful enjoy enjoyed lucky sweet caring generous welcoming solved resolved""",
        3.0: """great excellent perfect perfectly wonderful fantastic amazing awesome brilliant superb
            outstanding lovely love loved best delighted thrilled impressed impressive flawless exceptional""",
    },
    phrases={
        -3.0: """money back, waste of time, waste of my time, waste of money, how long do i have to,
            hung up on, complete joke, rip off, what am i paying for""",
        -2.0: """third time, so many times, nobody can, no one can, no help, never again, fed up, had enough,
            take you to court, for weeks, for months, nobody cares, no one cares, keeps crashing,
            what i paid for""",
        -1.0: "second time, yet again, over and over, expected better",
        0.0: """good morning, good afternoon, good evening, good day, would like, i'd like, like to,
            like that, like this""",
        2.0: """well done, no problem, saved my, saved me, saved the, no problems, at last, as it should,
            exactly what i needed, just what i needed""",
        3.0: "thank you so much, thanks a lot, really helped, very helpful, so helpful, was helpful",
    },
    courtesies="thank thanks please welcome okay ok sorry",
    hoped="""work working arrive arrived come came answer help helped resolve solve deliver delivered fix
        fixed return explain explained receive received get do see send sent warn reach hear reply respond
        apologise apologize apologised order ordered promised""",
    negators={
        "not isn't aren't wasn't weren't don't doesn't didn't won't wouldn't": 3,
        "can't cannot couldn't haven't hasn't hadn't": 3,
        "never nobody": 3,
        "no without": 2,
    },
    absences="solved resolved fixed sorted",
    stronger="very really extremely absolutely totally completely so such truly too incredibly",
    weaker="bit slightly somewhat fairly almost kinda little",
    breaks="but however though although",
)
