@echo off
rem What "make run" does where there is no make: sets up .venv once, then watches the camera (or the demo) and opens
rem the page. Options go on to it:  start-windows.bat --video demo
setlocal
cd /d "%~dp0"
set "PYTHON="
set "VENV=.venv"
if exist "%VENV%\Scripts\python.exe" goto install

for %%v in (3.13 3.12 3.11 3.10) do if not defined PYTHON py -%%v -c "" >nul 2>nul && set "PYTHON=py -%%v"
if not defined PYTHON python -c "import sys; sys.exit(sys.version_info < (3, 10))" >nul 2>nul && set "PYTHON=python"
if not defined PYTHON goto no_python
echo Setting up Facewire in %VENV%, once. This takes some minutes.
%PYTHON% -m venv "%VENV%" || goto failed

:install
rem Again when pyproject.toml has changed since.
fc /b pyproject.toml "%VENV%\.run" >nul 2>nul && goto run
"%VENV%\Scripts\python.exe" -m pip --disable-pip-version-check install --quiet --editable ".[mic]" && goto installed
echo PyAudio could not be installed: going on without the microphone.
"%VENV%\Scripts\python.exe" -m pip --disable-pip-version-check install --quiet --editable . || goto failed

:installed
copy /y pyproject.toml "%VENV%\.run" >nul

:run
"%VENV%\Scripts\facewire.exe" serve --open %*
set "RESULT=%ERRORLEVEL%"
rem A double click would close the window, and with it what was said.
if not "%RESULT%"=="0" if not defined CI pause
exit /b %RESULT%

:no_python
echo Facewire needs Python 3.10 to 3.13: install it from python.org or the Microsoft Store, then start this again.
if not defined CI pause
exit /b 1

:failed
echo Facewire could not be set up: what went wrong stands above. Check the network, then start this again.
if not defined CI pause
exit /b 1
