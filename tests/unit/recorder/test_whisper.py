"""What is taken for a recogniser's going round in a circle, in every script alike."""

import pytest

from services.recorder.adapters.engines.whisper import MOST_COMPRESSION, compression

HONEST = {
    "three prompts": (
        " Этот оператор уже зарегистрирован. Введите номер оператора и нажмите решетку. Регистрация оператора удалена."
        " Наберите новый номер и нажмите решетку. Регистрация оператора. Введите номер оператора и нажмите решетку."
    ),
    "a sentence said twice": (
        " Пользователь присоединится к конференции. Конференция начнется, когда подключится наш славный руководитель."
        " Конференция начнется, когда подключится наш славный руководитель. Конференция сейчас начнется."
    ),
    "nothing": "",
}


@pytest.mark.parametrize("what", HONEST)
def test_what_people_say_is_kept(what: str) -> None:
    assert compression(HONEST[what]) <= MOST_COMPRESSION


@pytest.mark.parametrize(
    "said", [" Дякую за перегляд!", " Thanks for watching.", " так так", " ご視聴ありがとうございました"]
)
def test_what_goes_round_in_a_circle_is_not_kept(said: str) -> None:
    assert compression(said * 12) > MOST_COMPRESSION
